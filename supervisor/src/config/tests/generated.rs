//! Properties over generated input: an effective project plans the same, and no input makes the reader panic or linger.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use super::super::model::{
    App, Build, Config, Count, Either, Env, Flag, Forward, List, Project, Run, Setup, Text, Time,
    app, depends, forward,
};
use super::super::write;
use super::*;
use crate::plan::{self, Plan};

/// Texts that YAML or a path expansion could take for something else, beside any others without control characters.
fn text() -> impl Strategy<Value = Text> {
    let traps = prop::sample::select(vec![
        "~",
        "null",
        "on",
        "no",
        "017",
        "0x10",
        "1e3",
        "22:22",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "'",
        "\"",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a`",
        "{a}",
        "[a]",
        "|",
        ">",
        "?",
        ":",
        "-",
        "---",
        "...",
        "<<",
        "<",
        "=",
        " a ",
        "a\\n",
        "${X:-d}",
        "$HOME",
        "\u{feff}a",
        "\u{85}a",
        "é\u{2028}x",
    ]);
    prop_oneof![
        2 => "[a-z][a-z0-9_./-]{0,12}",
        1 => traps.prop_map(str::to_owned),
        1 => "[^\\p{Cc}]{1,12}",
        1 => "[ -~\n\t]{1,20}",
    ]
    .prop_map(Text)
}

/// Paths as they are after expansion is undone: any text without NUL.
fn path() -> impl Strategy<Value = Text> {
    "/[a-z$~:. é]{1,12}".prop_map(|text| Text(text.replace('$', "$$").replace(":~", ":x")))
}

fn texts() -> impl Strategy<Value = List<Text>> {
    vec(text(), 0..3).prop_map(List)
}

fn paths() -> impl Strategy<Value = List<Text>> {
    vec(path(), 0..3).prop_map(List)
}

fn env() -> impl Strategy<Value = Env> {
    btree_map("[A-Za-z_.-][A-Za-z0-9_. ]{0,5}[A-Z]", text(), 0..4).prop_map(|map| {
        Env(map
            .into_iter()
            .map(|(name, Text(value))| (name, value))
            .collect())
    })
}

fn time() -> impl Strategy<Value = Time> {
    (0_u64..100_000).prop_map(|millis| Time(monday_shared::duration::Span::from_millis(millis)))
}

fn flag() -> impl Strategy<Value = Flag> {
    any::<bool>().prop_map(Flag)
}

fn sections() -> impl Strategy<Value = (Option<Setup>, Option<Build>, Option<Run>)> {
    let setup = (texts(), env(), paths()).prop_map(|(commands, env, env_file)| Setup {
        commands,
        env,
        env_file,
    });
    let build =
        (texts(), env(), paths(), of(path())).prop_map(|(commands, env, env_file, path)| Build {
            kind: None,
            path,
            commands,
            env,
            env_file,
        });
    let run = (texts(), texts(), env(), paths(), of(path()), texts()).prop_map(
        |(command, commands, env, env_file, path, stop_commands)| Run {
            command,
            commands,
            path,
            env,
            env_file,
            stop_commands,
        },
    );
    (of(setup), of(build), of(run))
}

fn watch() -> impl Strategy<Value = Either<Flag, app::Watch>> {
    let rules = (paths(), texts(), of(time()), of(flag())).prop_map(
        |(paths, exclude, debounce, gitignore)| app::Watch {
            paths,
            exclude,
            debounce,
            gitignore,
        },
    );
    prop_oneof![flag().prop_map(Either::Short), rules.prop_map(Either::Long)]
}

fn files() -> impl Strategy<Value = List<app::File>> {
    let content = (path(), text()).prop_map(|(to, content)| app::File {
        kind: Some(app::FileType::Content),
        from: None,
        to: Some(to),
        content: Some(content),
    });
    let copy = (path(), path()).prop_map(|(from, to)| app::File {
        kind: None,
        from: Some(from),
        to: Some(to),
        content: None,
    });
    vec(prop_oneof![content, copy], 0..3).prop_map(List)
}

fn behaviour() -> impl Strategy<Value = App> {
    let restart = prop_oneof![
        Just(Either::Short(app::RestartPolicy::No)),
        Just(Either::Short(app::RestartPolicy::OnFailure)),
        (of(time()), of(0_u32..9)).prop_map(|(backoff, most)| Either::Long(app::Restart {
            policy: Some(app::RestartPolicy::Always),
            backoff,
            max_restarts: most.map(Count),
        })),
    ];
    let ready =
        (of(time()), of(0_u32..9), "[a-z]{1,9}").prop_map(|(interval, retries, command)| {
            Either::Long(app::Ready {
                exec: Some(Text(command)),
                interval,
                retries: retries.map(Count),
                ..app::Ready::default()
            })
        });
    let stop = of(time()).prop_map(|timeout| app::Stop {
        signal: Some("INT".into()),
        timeout,
    });
    let switches = (of(flag()), of(flag()), of(flag()));
    (of(restart), of(ready), of(stop), switches, of(path())).prop_map(
        |(restart, ready, stop, switches, log_file)| App {
            restart,
            ready,
            stop,
            pty: switches.0,
            disabled: switches.1,
            keep_children: switches.2,
            log_file,
            ..App::default()
        },
    )
}

fn one_app() -> impl Strategy<Value = App> {
    let hostname = of("[a-z]{1,8}(\\.[a-z]{1,5}){0,2}".prop_map(Text));
    let monitoring = of((text(), text()).prop_map(|(port, url)| app::Monitoring {
        port: Some(port),
        url: Some(url),
    }));
    (
        behaviour(),
        of(path()),
        hostname,
        sections(),
        of(watch()),
        files(),
        monitoring,
    )
        .prop_map(
            |(app, path, hostname, (setup, build, run), watch, files, monitoring)| App {
                path,
                hostname: hostname.filter(|name| &**name != "localhost"),
                setup,
                build,
                run,
                watch,
                files,
                monitoring,
                ..app
            },
        )
}

fn one_forward() -> impl Strategy<Value = Forward> {
    let ports = |number: usize| {
        vec(1_u16..9, 1..3).prop_map(move |targets| {
            // No port of no forward is listened on twice.
            let pairs = targets.iter().enumerate().map(|(at, target)| {
                let listen = 1000 + number * 10 + at;
                forward::Port(format!("{listen}:{target}"))
            });
            List(pairs.collect())
        })
    };
    let proxy =
        (ports(1), of(time()), any::<bool>()).prop_map(|(ports, connect_wait, disabled)| {
            let values = forward::Values {
                ports,
                hostname: Some("db.local".into()),
                proxy_hostname: Some("db.internal".into()),
                disable_proxy: disabled.then_some(Flag(true)),
                connect_wait,
                ..forward::Values::default()
            };
            (forward::ForwardType::Proxy, values)
        });
    let labels = btree_map("[a-z]{1,5}", text(), 1..3);
    let kubernetes = (ports(2), labels, of(text())).prop_map(|(ports, labels, context)| {
        let values = forward::Values {
            ports,
            hostname: Some("pod.local".into()),
            labels: Some(labels),
            context,
            transport: Some(forward::Transport::V4),
            ..forward::Values::default()
        };
        (forward::ForwardType::Kubernetes, values)
    });
    let ssh = (ports(3), texts()).prop_map(|(ports, args)| {
        let values = forward::Values {
            ports,
            remote: Some("me@host".into()),
            args,
            ..forward::Values::default()
        };
        (forward::ForwardType::SshRemote, values)
    });
    prop_oneof![proxy, kubernetes, ssh].prop_map(|(kind, values)| Forward {
        name: None,
        kind: Some(kind),
        monitoring: None,
        values: Some(values),
    })
}

fn project() -> impl Strategy<Value = Config> {
    let name = "[a-zA-Z0-9~][a-zA-Z0-9 :#'~-]{0,8}[a-z0-9~]";
    (
        name,
        vec(one_app(), 0..4),
        of(one_forward()),
        vec(any::<bool>(), 4),
    )
        .prop_map(|(name, mut apps, forward, depends)| {
            for at in 0..apps.len() {
                apps[at].name = Some(Text(format!("app {at}")));
                if at > 0 && depends[at] {
                    let requirement = depends::Requirement {
                        condition: Some(depends::Condition::Started),
                    };
                    apps[at]
                        .depends_on
                        .0
                        .insert(format!("app {}", at - 1), requirement);
                }
            }
            let forward = forward.map(|forward| Forward {
                name: Some("a forward".into()),
                ..forward
            });
            let project = Project {
                name: Some(Text(name)),
                local: List(apps),
                forward: List(forward.into_iter().collect()),
            };
            Config {
                projects: List(vec![project]),
                ..Config::default()
            }
        })
}

/// What is read from a text, and its plan.
fn load(text: &str) -> (Loaded, Plan) {
    let machine = Fake::new().file("/here/monday.yaml", text).set("X", "y");
    let result = load_in(&Search::new(), &machine);
    let loaded = match result {
        Ok(loaded) if loaded.broken.is_empty() => loaded,
        other => panic!("{:#?}\n{text}", problems(&other)),
    };
    let plan = plan::plan(&loaded.projects[0]);
    (loaded, plan)
}

/// A few cases in every test run, and `PROPTEST_CASES` of them where that is said.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: cases.and_then(|cases| cases.parse().ok()).unwrap_or(64),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_effective_project_plans_the_same(config in project()) {
        let written = write::to_yaml(&config).unwrap();
        let (loaded, plan) = load(&written);
        let name = loaded.projects[0].name.clone();
        let effective = write::to_yaml(loaded.effective(&name).unwrap()).unwrap();
        let (again, planned_again) = load(&effective);
        prop_assert_eq!(&plan, &planned_again, "{}\n{}", written, effective);
        prop_assert_eq!(loaded.effective(&name).unwrap(), again.effective(&name).unwrap());
    }

    #[test]
    fn a_project_that_is_written_is_read_as_it_was(config in project()) {
        let written = write::to_yaml(&config).unwrap();
        let (loaded, _) = load(&written);
        let project = &loaded.projects[0];
        let declared = &config.projects[0];
        prop_assert_eq!(project.apps.len(), declared.local.len());
        for (app, declared) in project.apps.iter().zip(declared.local.iter()) {
            let commands = declared.run.iter().flat_map(|run| run.command.iter().chain(run.commands.iter()));
            let commands: Vec<&str> = commands.map(|text| &**text).filter(|text| !text.trim().is_empty()).collect();
            let run = app.run.clone().unwrap_or_default();
            prop_assert_eq!(&run.commands, &commands, "{}", written);
            let env = declared.run.iter().flat_map(|run| run.env.0.clone()).collect::<Vec<_>>();
            prop_assert_eq!(&run.env, &env, "{}", written);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[-a-c:&*<?!|>{}\\[\\]\"'#%@`, \n\t\r~é\u{85}\u{feff}]{0,80}") {
        let _ = read(&text).map(|loaded| loaded.report().render(crate::diagnostic::Style::plain()));
    }

    #[test]
    fn no_text_of_known_keys_makes_the_reader_panic(lines in vec((0_usize..6, words(), words()), 0..30)) {
        let lines = lines.iter().map(|(indent, key, value)| format!("{}{key}{value}\n", "  ".repeat(*indent)));
        let text = lines.collect::<Vec<_>>().concat();
        if let Err(report) = read(&text) {
            let _ = report.render(crate::diagnostic::Style::coloured());
            let _ = report.to_json();
        }
    }
}

fn words() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "projects:",
        "name:",
        "local:",
        "forward:",
        "values:",
        "ports:",
        "run:",
        "env:",
        "- ",
        "- name: a",
        "<: ",
        "<<: ",
        "&a ",
        "*a",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "a: b",
        "~",
        "\"",
        "'",
        "|",
        "",
        "- *a",
        "[*a, *a]",
        "<: &a ",
        "<: &a [*a]",
        "type: proxy",
        "depends_on: [a]",
        "ready:",
        "stop:",
        "1s",
        "yes",
        "8080:80",
        "\t",
        "---",
        "!!str ",
        "watch: true",
    ])
}
