//! Other people change the workload meanwhile: their change stays, ours goes.

use monday_tests::cluster::{App, together};
use serde_json::json;

use super::stage::{ROLLOUT, Remote, agents, assert_restored};

#[test]
fn an_image_that_somebody_sets_meanwhile_stays_and_the_rest_is_as_it_was() {
    let Some(cluster) = together() else { return };
    let app = App::new("others-image", "web");
    let mut remote = Remote::ready(&cluster, &app);
    cluster.kubectl(&[
        "-n",
        "others-image",
        "set",
        "image",
        "deployment/web",
        "main=monday.test/pod:2",
    ]);
    // Its pods are not ours any more: everything else is put back at once, and that is said.
    let code = remote.process.wait_within(ROLLOUT);
    let said = remote.process.transcript();
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("somebody has deployed deployment/web meanwhile"),
        "{said}"
    );
    let mut wanted = remote.before.clone();
    wanted["template"]["spec"]["containers"][0]["image"] = json!("monday.test/pod:2");
    assert_restored(&cluster, "others-image", &wanted);
}

#[test]
fn what_somebody_applies_meanwhile_stays() {
    let Some(cluster) = together() else { return };
    for (place, probe) in [
        json!({"tcpSocket": {"port": "talk"}, "periodSeconds": 1}),
        json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}),
    ]
    .into_iter()
    .enumerate()
    {
        let app = App::new(&format!("others-apply-{place}"), "web");
        let mut objects = app.objects();
        let container = "/spec/template/spec/containers/0";
        let deployment = objects
            .iter_mut()
            .find(|it| it["kind"] == "Deployment")
            .unwrap();
        deployment.pointer_mut(container).unwrap()["readinessProbe"] = probe;
        cluster.apply(&objects);
        let mut remote = Remote::on(&cluster, &app.namespace, &[]);
        remote.step("tunnelled");
        let deployment = objects
            .iter_mut()
            .find(|it| it["kind"] == "Deployment")
            .unwrap();
        let web = deployment.pointer_mut(container).unwrap();
        web["env"] = json!([{"name": "THEIRS", "value": "x"}]);
        web["args"] = json!(["talk:7000", "http:8080", "echo:7001", "banner:3306"]);
        cluster.apply(&objects);
        let code = remote.process.wait_within(ROLLOUT);
        assert_eq!(code, 1, "{}", remote.process.transcript());
        let mut wanted = remote.before.clone();
        let web = &mut wanted["template"]["spec"]["containers"][0];
        web["env"] = json!([{"name": "THEIRS", "value": "x"}]);
        web["args"] = json!(["talk:7000", "http:8080", "echo:7001", "banner:3306"]);
        assert_restored(&cluster, &app.namespace, &wanted);
    }
}

#[test]
fn a_scale_that_somebody_sets_meanwhile_stays() {
    let Some(cluster) = together() else { return };
    let mut remote = Remote::ready(&cluster, &App::new("others-scale", "web"));
    cluster.kubectl(&[
        "-n",
        "others-scale",
        "scale",
        "deployment/web",
        "--replicas=2",
    ]);
    let rollout = [
        "-n",
        "others-scale",
        "rollout",
        "status",
        "deployment/web",
        "--timeout=90s",
    ];
    cluster.kubectl(&rollout);
    assert_eq!(agents(&cluster, "others-scale").len(), 2);
    remote.before["replicas"] = json!(2);
    remote.end(&cluster);
}
