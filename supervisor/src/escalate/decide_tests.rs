use super::*;

fn query() -> Query {
    Query {
        wish: Wish::Auto,
        hosts: Hosts::Auto,
        hosts_file: SYSTEM_FILE.into(),
        has_names: true,
        low_port: None,
        helper: "/usr/bin/monday-ipalias".into(),
        may_ask: true,
    }
}

/// An ordinary user on a machine with neither sudo nor doas.
fn facts() -> Facts {
    Facts {
        is_root: false,
        hosts_writable: false,
        hosts_fixed: None,
        low_port_allowed: false,
        sudo: Tool::Missing,
        doas: Tool::Missing,
        terminal: true,
        private: Ok(()),
    }
}

fn silent(tool: &str) -> Tool {
    Tool::Silent(tool.into())
}

fn asks(tool: &str) -> Tool {
    Tool::Asks(tool.into())
}

fn through(tool: &str, ask: bool) -> Escalation {
    let tool = tool.into();
    Escalation::Through { tool, ask }
}

#[test]
fn nobody_becomes_root_where_it_is_not_needed() {
    let tools = Facts {
        sudo: silent("sudo"),
        doas: silent("doas"),
        ..facts()
    };
    for (query, facts) in [
        (
            query(),
            Facts {
                is_root: true,
                ..tools.clone()
            },
        ),
        (
            query(),
            Facts {
                hosts_writable: true,
                ..tools.clone()
            },
        ),
        (
            Query {
                has_names: false,
                ..query()
            },
            tools.clone(),
        ),
        (
            Query {
                hosts: Hosts::Private,
                ..query()
            },
            tools.clone(),
        ),
        (
            Query {
                has_names: false,
                low_port: Some(80),
                ..query()
            },
            Facts {
                low_port_allowed: true,
                ..tools.clone()
            },
        ),
    ] {
        let decision = decide(&query, &facts);
        assert_eq!(
            decision.escalation,
            Escalation::Plain,
            "{query:?} {facts:?}"
        );
        assert_eq!(decision.warning, None);
    }
}

#[test]
fn names_and_low_ports_are_what_root_is_needed_for() {
    let facts = Facts {
        sudo: silent("sudo"),
        ..facts()
    };
    let ports_only = Query {
        has_names: false,
        low_port: Some(443),
        ..query()
    };
    let ports_beside_a_writable_file = Facts {
        hosts_writable: true,
        ..facts.clone()
    };
    for (query, facts) in [
        (query(), facts.clone()),
        (
            Query {
                hosts: Hosts::System,
                ..query()
            },
            facts.clone(),
        ),
        (ports_only, facts.clone()),
        (
            Query {
                low_port: Some(80),
                ..query()
            },
            ports_beside_a_writable_file,
        ),
    ] {
        let decision = decide(&query, &facts);
        assert_eq!(decision.escalation, through("sudo", false), "{query:?}");
        assert_eq!(decision.names, Names::System);
        assert_eq!(decision.warning, None);
    }
}

#[test]
fn whoever_needs_no_password_comes_first_and_then_sudo_where_it_can_ask() {
    for (wish, sudo, doas, terminal, expected) in [
        (
            Wish::Auto,
            asks("sudo"),
            silent("doas"),
            true,
            Some(through("doas", false)),
        ),
        (
            Wish::Auto,
            silent("sudo"),
            silent("doas"),
            true,
            Some(through("sudo", false)),
        ),
        (
            Wish::Auto,
            asks("sudo"),
            asks("doas"),
            true,
            Some(through("sudo", true)),
        ),
        (Wish::Auto, asks("sudo"), Tool::Missing, false, None),
        (Wish::Auto, Tool::Missing, asks("doas"), true, None),
        (
            Wish::Sudo,
            asks("sudo"),
            silent("doas"),
            true,
            Some(through("sudo", true)),
        ),
        (Wish::Sudo, Tool::Missing, silent("doas"), true, None),
        (
            Wish::Doas,
            silent("sudo"),
            silent("doas"),
            false,
            Some(through("doas", false)),
        ),
        (Wish::Doas, silent("sudo"), asks("doas"), true, None),
        (Wish::Doas, silent("sudo"), Tool::Missing, true, None),
        (Wish::None, silent("sudo"), silent("doas"), true, None),
    ] {
        let case = format!("{wish:?} {sudo:?} {doas:?} terminal: {terminal}");
        let facts = Facts {
            sudo,
            doas,
            terminal,
            ..facts()
        };
        let decision = decide(&Query { wish, ..query() }, &facts);
        assert_eq!(
            decision.escalation,
            expected.clone().unwrap_or(Escalation::Plain),
            "{case}"
        );
        assert_eq!(decision.warning.is_some(), expected.is_none(), "{case}");
        // If it turns out to be impossible after all.
        assert_eq!(decision.otherwise, Names::Private, "{case}");
    }
}

#[test]
fn without_root_names_go_where_the_configuration_lets_them() {
    let impossible = Facts {
        private: Err("the switch is off".to_owned()),
        ..facts()
    };
    for (hosts, facts, expected) in [
        (Hosts::Auto, facts(), Names::Private),
        (Hosts::Auto, impossible.clone(), Names::Nowhere),
        (Hosts::System, facts(), Names::Nowhere),
        (Hosts::Private, facts(), Names::Private),
        (Hosts::Private, impossible, Names::Nowhere),
    ] {
        let decision = decide(&Query { hosts, ..query() }, &facts);
        assert_eq!(decision.names, expected, "{hosts:?}");
        // Private names that there are were what was asked for.
        let quiet = hosts == Hosts::Private && expected == Names::Private;
        assert_eq!(
            decision.warning.is_none(),
            quiet,
            "{hosts:?}: {:?}",
            decision.warning
        );
    }
}

#[test]
fn the_warning_says_in_one_line_what_is_left_out_and_why() {
    let with_port = Query {
        low_port: Some(80),
        ..query()
    };
    let warning = decide(&with_port, &facts()).warning.unwrap();
    assert_eq!(
        warning,
        "without root: only the project's own apps see its host names, and sudo does not work in them, and port 80 and others below 1024 cannot be listened \
         on, because neither sudo nor doas is installed"
    );
    let private = Query {
        hosts: Hosts::Private,
        ..query()
    };
    let impossible = Facts {
        private: Err("the switch is off".to_owned()),
        ..facts()
    };
    let warning = decide(&private, &impossible).warning.unwrap();
    assert!(
        warning.contains("by address only") && warning.ends_with("the switch is off"),
        "{warning}"
    );
}

#[test]
fn another_hosts_file_is_never_written_as_root() {
    let elsewhere = Query {
        hosts_file: "/tmp/hosts".into(),
        ..query()
    };
    let facts = Facts {
        sudo: silent("sudo"),
        ..facts()
    };
    let decision = decide(&elsewhere, &facts);
    assert_eq!(decision.escalation, Escalation::Plain);
    assert!(decision.warning.unwrap().contains("/tmp/hosts"));
}

#[test]
fn while_a_project_runs_nobody_is_asked_and_the_warning_says_when_somebody_is() {
    let later = Query {
        may_ask: false,
        ..query()
    };
    let facts = Facts {
        sudo: asks("sudo"),
        terminal: false,
        ..facts()
    };
    let warning = decide(&later, &facts).warning.unwrap();
    assert!(warning.contains("start it anew"), "{warning}");
}

#[test]
fn a_file_that_root_cannot_write_either_makes_names_private_and_nothing_root() {
    let fixed = Facts {
        hosts_fixed: Some("it is on a read-only file system"),
        sudo: silent("sudo"),
        ..facts()
    };
    for is_root in [false, true] {
        let facts = Facts {
            is_root,
            ..fixed.clone()
        };
        let decision = decide(&query(), &facts);
        assert_eq!(decision.names, Names::Private);
        assert_eq!(decision.escalation, Escalation::Plain);
        let warning = decision.warning.unwrap();
        assert!(warning.contains("read-only"), "{warning}");
    }
    let system = Query {
        hosts: Hosts::System,
        ..query()
    };
    assert_eq!(decide(&system, &fixed).names, Names::Nowhere);
}

#[test]
fn private_names_get_no_low_port_and_the_warning_says_why() {
    let query = Query {
        hosts: Hosts::Private,
        low_port: Some(80),
        ..query()
    };
    let facts = Facts {
        sudo: silent("sudo"),
        ..facts()
    };
    let decision = decide(&query, &facts);
    assert_eq!(decision.names, Names::Private);
    assert_eq!(
        decision.warning.unwrap(),
        "port 80 and others below 1024 cannot be listened on, because with `hosts: private` nothing becomes root"
    );
    let why = decision.no_root.unwrap();
    assert!(why.contains("hosts: private"), "{why}");
}

#[test]
fn a_hosts_file_of_ones_own_that_can_be_written_is_not_said_to_be_unwritable() {
    let elsewhere = Query {
        hosts_file: "/tmp/hosts".into(),
        low_port: Some(80),
        ..query()
    };
    let facts = Facts {
        hosts_writable: true,
        sudo: silent("sudo"),
        ..facts()
    };
    let decision = decide(&elsewhere, &facts);
    assert_eq!(decision.names, Names::System);
    let warning = decision.warning.unwrap();
    assert!(
        warning.starts_with("port 80 ") && warning.contains("--hosts-file /tmp/hosts"),
        "{warning}"
    );
}

#[test]
fn where_names_go_nowhere_the_switch_that_keeps_them_from_being_private_is_named() {
    let facts = Facts {
        private: Err("the switch user.max_user_namespaces is 0".to_owned()),
        ..facts()
    };
    let warning = decide(&query(), &facts).warning.unwrap();
    assert!(
        warning.contains("by address only") && warning.contains("user.max_user_namespaces"),
        "{warning}"
    );
}
