//! Properties over Deployments of any shape.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::json_patch::difference;
use super::marks::{self, Holder};
use super::replace::{NoPlace, Wish, put_agent};
use super::restore::{by_hand, from_replica_set, guarded, is_deployed_over, restored};

const IMAGE: &str = "monday.internal/agent:1";

fn holder() -> Holder {
    Holder {
        id: "s1".to_owned(),
        user: "ada".to_owned(),
        host: "laptop".to_owned(),
        pid: 7,
        since: "2026-01-01T00:00:00.000Z".to_owned(),
    }
}

fn wish(is_agent: bool, skip_init: bool) -> Wish<'static> {
    Wish {
        session: "s1",
        container: None,
        image: IMAGE,
        is_agent,
        key: "ssh-ed25519 AAAA",
        ports: &[80, 8080],
        skip_init,
    }
}

/// What a session makes of a Deployment.
fn taken(before: &Value, wish: &Wish<'_>) -> Value {
    let mut during = before.clone();
    let original = put_agent(&mut during, wish).unwrap();
    let line = by_hand(before, &during, &original.container);
    marks::put(&mut during, &holder(), &original, &json!(line).to_string()).unwrap();
    during
}

fn given_back(during: &Value) -> Value {
    restored(during, &marks::read(during).unwrap())
        .unwrap()
        .object
}

fn probe() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(
            json!({"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10})
        ),
        Just(json!({"tcpSocket": {"port": 80}, "failureThreshold": 3})),
        Just(json!({"exec": {"command": ["true"]}})),
        Just(json!({"grpc": {"port": 9, "service": ""}})),
    ]
}

/// An object of which each key is there or not.
fn some(keys: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Map<String, Value>> {
    keys.into_iter()
        .fold(Just(Map::new()).boxed(), |all, (key, value)| {
            (all, of(value))
                .prop_map(move |(mut map, value)| {
                    map.extend(value.map(|value| (key.to_owned(), value)));
                    map
                })
                .boxed()
        })
}

fn words() -> BoxedStrategy<Value> {
    vec("[a-z/~\"\\$ -]{0,8}", 0..3)
        .prop_map(|words| json!(words))
        .boxed()
}

fn env() -> BoxedStrategy<Value> {
    let names = ["A", "SECRET", super::replace::KEY_VARIABLE];
    proptest::sample::subsequence(names.to_vec(), 0..=3)
        .prop_map(|names| {
            let variables = names.iter().map(|name| {
                json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k/~"}}})
            });
            Value::Array(variables.collect())
        })
        .boxed()
}

fn ports() -> BoxedStrategy<Value> {
    vec((1u16.., of("[a-z]{1,8}")), 0..3)
        .prop_map(|ports| {
            let ports = ports.into_iter().map(|(port, name)| match name {
                Some(name) => json!({"containerPort": port, "name": name, "protocol": "TCP"}),
                None => json!({"containerPort": port}),
            });
            Value::Array(ports.collect())
        })
        .boxed()
}

fn container(name: &'static str) -> BoxedStrategy<Value> {
    let lifecycle = Just(json!({"preStop": {"exec": {"command": ["sleep", "5"]}}})).boxed();
    some(vec![
        ("command", words()),
        ("args", words()),
        ("env", env()),
        ("ports", ports()),
        ("workingDir", Just(json!("/srv")).boxed()),
        ("imagePullPolicy", Just(json!("Always")).boxed()),
        ("readinessProbe", probe().boxed()),
        ("livenessProbe", probe().boxed()),
        ("startupProbe", probe().boxed()),
        ("lifecycle", lifecycle),
        ("securityContext", Just(json!({"runAsUser": 5})).boxed()),
        (
            "volumeMounts",
            Just(json!([{"name": "v", "mountPath": "/v"}])).boxed(),
        ),
    ])
    .prop_map(move |mut map| {
        map.insert("name".to_owned(), name.into());
        map.insert("image".to_owned(), "shop/web:1".into());
        Value::Object(map)
    })
    .boxed()
}

fn pod() -> BoxedStrategy<Value> {
    let sysctls = json!({"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]});
    let containers = prop_oneof![
        container("web").prop_map(|one| json!([one])),
        (container("web"), container("log")).prop_map(|(one, two)| {
            let mut one = one;
            one["ports"] = json!([{"containerPort": 80}]);
            json!([two, one])
        }),
    ];
    let rest = some(vec![
        (
            "terminationGracePeriodSeconds",
            (0i64..100).prop_map(|it| json!(it)).boxed(),
        ),
        (
            "readinessGates",
            Just(json!([{"conditionType": "x/y"}])).boxed(),
        ),
        (
            "initContainers",
            container("init").prop_map(|one| json!([one])).boxed(),
        ),
        (
            "securityContext",
            prop_oneof![Just(json!({})), Just(json!({"fsGroup": 1})), Just(sysctls)].boxed(),
        ),
        (
            "volumes",
            Just(json!([{"name": "v", "emptyDir": {}}])).boxed(),
        ),
    ]);
    (containers, rest)
        .prop_map(|(containers, mut map)| {
            map.insert("containers".to_owned(), containers);
            Value::Object(map)
        })
        .boxed()
}

fn deployment() -> impl Strategy<Value = Value> {
    let texts = || btree_map("[a-z./~]{1,8}", "[a-z]{0,4}", 0..3);
    let spec = some(vec![
        (
            "minReadySeconds",
            (0i64..9).prop_map(|it| json!(it)).boxed(),
        ),
        ("replicas", (1i64..9).prop_map(|it| json!(it)).boxed()),
    ]);
    (pod(), spec, of(texts()), of(texts())).prop_map(|(pod, mut spec, labels, annotations)| {
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": pod});
        spec.insert("template".to_owned(), template);
        let mut metadata = json!({"name": "web", "uid": "u", "resourceVersion": "1"});
        for (key, map) in [("labels", labels), ("annotations", annotations)] {
            // An API server keeps no empty map.
            if let Some(map) = map.filter(|map| !map.is_empty()) {
                metadata[key] = json!(map);
            }
        }
        json!({"metadata": metadata, "spec": spec})
    })
}

fn apply(object: &mut Value, operations: &[Value]) {
    let patch: json_patch::Patch = serde_json::from_value(json!(operations)).unwrap();
    json_patch::patch(object, &patch).unwrap();
}

proptest! {
    #[test]
    fn what_is_given_back_is_what_was_taken(before in deployment(), is_agent: bool, skip_init: bool) {
        let during = taken(&before, &wish(is_agent, skip_init));
        prop_assert_ne!(&during, &before);
        prop_assert_eq!(given_back(&during), before);
    }

    #[test]
    fn the_patches_make_what_they_are_made_for(before in deployment(), is_agent: bool) {
        let during = taken(&before, &wish(is_agent, true));
        let mut object = before.clone();
        apply(&mut object, &guarded(&before, &during));
        prop_assert_eq!(&object, &during);
        apply(&mut object, &guarded(&during, &before));
        prop_assert_eq!(&object, &before);
    }

    #[test]
    fn the_line_for_people_gives_back_the_same(before in deployment(), is_agent: bool) {
        let during = taken(&before, &wish(is_agent, true));
        let line = during["metadata"]["annotations"][marks::RESTORE].as_str().unwrap();
        let operations: Vec<Value> = serde_json::from_str(line).unwrap();
        let mut object = during.clone();
        apply(&mut object, &operations);
        // An API server drops maps that became empty.
        for map in ["labels", "annotations"] {
            if object["metadata"][map] == json!({}) {
                object["metadata"].as_object_mut().unwrap().remove(map);
            }
        }
        prop_assert_eq!(object, before);
    }

    #[test]
    fn what_others_changed_meanwhile_stays(before in deployment(), replicas in 1i64..9, image in "[a-z]{1,5}:[0-9]") {
        let change = |object: &mut Value| {
            object["spec"]["replicas"] = json!(replicas);
            object["metadata"]["annotations"]["theirs"] = json!("x");
            let containers = object["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
            let web = containers.iter_mut().find(|it| it["name"] == "web").unwrap();
            web["image"] = json!(image);
            web["resources"] = json!({"limits": {"cpu": "1"}});
            web["livenessProbe"] = json!({"exec": {"command": ["theirs"]}});
        };
        let mut during = taken(&before, &wish(true, false));
        prop_assert!(!is_deployed_over(&during, &marks::read(&during).unwrap()));
        change(&mut during);
        prop_assert!(is_deployed_over(&during, &marks::read(&during).unwrap()));
        let mut wanted = before;
        change(&mut wanted);
        prop_assert_eq!(given_back(&during), wanted);
    }

    #[test]
    fn a_variable_that_others_add_stays(before in deployment()) {
        let add = |object: &mut Value| {
            let containers = object["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
            let web = containers.iter_mut().find(|it| it["name"] == "web").unwrap();
            if web["env"].is_null() {
                web["env"] = json!([]);
            }
            let variables = web["env"].as_array_mut().unwrap();
            variables.push(json!({"name": "THEIRS", "value": "x"}));
        };
        let mut during = taken(&before, &wish(true, false));
        add(&mut during);
        let mut wanted = before;
        add(&mut wanted);
        prop_assert_eq!(given_back(&during), wanted);
    }

    #[test]
    fn a_difference_leads_from_one_document_to_the_other(old in pod(), new in pod()) {
        let mut object = old.clone();
        apply(&mut object, &difference(&old, &new));
        prop_assert_eq!(object, new);
    }
}

fn with_containers(containers: &Value) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}},
    })
}

#[test]
fn the_container_is_the_one_that_was_named_or_has_the_port_or_is_the_only_one() {
    let two = json!([
        {"name": "log", "image": "l"},
        {"name": "web", "image": "w", "ports": [{"containerPort": 80}]},
    ]);
    let chosen = |containers: &Value, wish: &Wish<'_>| {
        put_agent(&mut with_containers(containers), wish).map(|original| original.container)
    };
    let by_port = wish(true, false);
    assert_eq!(chosen(&two, &by_port), Ok("web".to_owned()));
    let named = Wish {
        container: Some("log"),
        ..by_port.clone()
    };
    assert_eq!(chosen(&two, &named), Ok("log".to_owned()));
    let other_port = Wish {
        ports: &[81],
        ..by_port.clone()
    };
    assert_eq!(
        chosen(&two, &other_port),
        Err(NoPlace::Unclear {
            port: 81,
            known: "log, web".to_owned()
        })
    );
    assert_eq!(chosen(&json!([two[0]]), &other_port), Ok("log".to_owned()));
    let wrong = Wish {
        container: Some("x"),
        ..by_port
    };
    assert!(matches!(
        chosen(&two, &wrong),
        Err(NoPlace::NoContainer { .. })
    ));
}

#[test]
fn the_probe_asks_as_the_original_does() {
    let probe = |original: Value, is_agent| {
        let containers = json!([{
            "name": "web", "image": "w", "readinessProbe": original,
            "ports": [{"containerPort": 5023}],
        }]);
        let mut deployment = with_containers(&containers);
        put_agent(&mut deployment, &wish(is_agent, false)).unwrap();
        deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"].clone()
    };
    let http = json!({"httpGet": {"path": "/h", "port": 1}});
    assert_eq!(probe(http.clone(), true)["httpGet"]["port"], 5024);
    assert_eq!(probe(http, false)["httpGet"]["port"], 5024);
    assert_eq!(probe(json!({"exec": {}}), false)["tcpSocket"]["port"], 5024);
    assert_eq!(
        probe(json!({"exec": {}}), true)["exec"]["command"][1],
        "ready"
    );
    assert_eq!(
        probe(json!({"tcpSocket": {"port": 1}}), true)["tcpSocket"]["port"],
        5024
    );
}

#[test]
fn ports_below_1024_are_made_free_for_an_agent_without_privileges() {
    let containers = json!([{"name": "web", "image": "w"}]);
    let mut deployment = with_containers(&containers);
    put_agent(&mut deployment, &wish(true, false)).unwrap();
    let sysctls = &deployment["spec"]["template"]["spec"]["securityContext"]["sysctls"];
    assert_eq!(sysctls[0]["value"], "0");
    let mut deployment = with_containers(&containers);
    let high = Wish {
        ports: &[8080],
        ..wish(true, false)
    };
    put_agent(&mut deployment, &high).unwrap();
    assert!(
        deployment["spec"]["template"]["spec"]
            .get("securityContext")
            .is_none()
    );
}

#[test]
fn pods_on_the_network_of_their_node_are_left_alone() {
    let mut deployment = with_containers(&json!([{"name": "web", "image": "w"}]));
    deployment["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    assert_eq!(
        put_agent(&mut deployment, &wish(true, false)).unwrap_err(),
        NoPlace::HostNetwork
    );
}

#[test]
fn with_a_damaged_note_the_template_comes_from_a_replica_set() {
    let before = with_containers(&json!([{"name": "web", "image": "w"}]));
    let mut during = taken(&before, &wish(true, false));
    during["metadata"]["annotations"][marks::ORIGINAL] = json!("{");
    let marks = marks::read(&during).unwrap();
    assert!(restored(&during, &marks).is_err());
    let mut replica_set = json!({"spec": {"template": before["spec"]["template"]}});
    replica_set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = json!("1");
    assert_eq!(
        from_replica_set(&during, &replica_set)["spec"]["template"],
        before["spec"]["template"]
    );
}

#[test]
fn a_session_that_is_over_is_told_from_one_that_goes_on() {
    let before = with_containers(&json!([{"name": "web", "image": "w"}]));
    let mut during = taken(&before, &wish(true, false));
    assert!(!marks::read(&during).unwrap().expired);
    during["metadata"]["annotations"][marks::EXPIRES] = json!("2020-01-01T00:00:00Z");
    assert!(marks::read(&during).unwrap().expired);
    assert_eq!(marks::read(&before), None);
}
