//! Users who may not do everything.

use monday_tests::cluster::{App, Rule, together};
use monday_tests::world::World;

use crate::forwarder::{Forwarder, start};
use crate::talk;

#[test]
fn either_verb_on_port_forwards_is_enough() {
    let Some(cluster) = together() else { return };
    let app = App::new("rights", "web");
    cluster.deploy(&app);
    let pods = cluster.pods(&app);
    for (user, verbs) in [("creator", &["create"][..]), ("getter", &["get"])] {
        let kubeconfig = cluster.user(user, "rights", &[Rule::PODS, Rule::forward(verbs)]);
        let forwarder = Forwarder::ready(&kubeconfig, &["-n", "rights", "-l", "app=web", "0:talk"]);
        for _ in 0..3 {
            assert_eq!(talk::who(forwarder.address()).unwrap(), pods[0], "{user}");
        }
        forwarder.end();
    }
}

#[test]
fn without_either_verb_it_says_which_one_to_ask_for() {
    let Some(cluster) = together() else { return };
    let app = App::new("rightless", "web");
    cluster.deploy(&app);
    let kubeconfig = cluster.user("looker", "rightless", &[Rule::PODS]);
    let world = World::new();
    let words = ["-n", "rightless", "-l", "app=web", "0:talk"];
    let done = start(&world, &kubeconfig, &words)
        .finish_open()
        .expect_code(1);
    for word in [
        "rightless",
        "looker",
        "pods/portforward",
        "kubectl auth can-i create pods --subresource portforward",
    ] {
        assert!(
            done.stderr.contains(word),
            "`{word}` is not in: {}",
            done.stderr
        );
    }
}

#[test]
fn who_may_not_look_at_pods_is_told_so() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("blind", "web"));
    let kubeconfig = cluster.user("blind", "blind", &[Rule::forward(&["create", "get"])]);
    let world = World::new();
    let words = ["-n", "blind", "-l", "app=web", "0:talk"];
    let done = start(&world, &kubeconfig, &words)
        .finish_open()
        .expect_code(1);
    for word in ["blind", "list", "pods", "kubectl auth can-i list pods"] {
        assert!(
            done.stderr.contains(word),
            "`{word}` is not in: {}",
            done.stderr
        );
    }
}
