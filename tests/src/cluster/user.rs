//! Users who may do what is granted to them and nothing else.

use std::path::PathBuf;

use serde_json::json;

use super::Cluster;

/// What is granted: verbs on resources of a group.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The API group; "" is the core.
    pub group: &'static str,
    /// For example `pods/portforward`.
    pub resources: &'static [&'static str],
    /// For example `create`.
    pub verbs: &'static [&'static str],
}

impl Rule {
    /// Look at pods, which every forward has to.
    pub const PODS: Self = Self {
        group: "",
        resources: &["pods"],
        verbs: &["get", "list", "watch"],
    };

    /// Verbs on `pods/portforward`.
    #[must_use]
    pub const fn forward(verbs: &'static [&'static str]) -> Self {
        Self {
            group: "",
            resources: &["pods/portforward"],
            verbs,
        }
    }
}

impl Cluster {
    /// Makes a user who may do this in a namespace; returns the user's configuration.
    #[must_use]
    pub fn user(&self, name: &str, namespace: &str, rules: &[Rule]) -> PathBuf {
        let kubeconfig = self.script(["user", name]);
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| {
                json!({
                    "apiGroups": [rule.group],
                    "resources": rule.resources,
                    "verbs": rule.verbs,
                })
            })
            .collect();
        let group = "rbac.authorization.k8s.io";
        let version = format!("{group}/v1");
        self.apply(&[
            json!({
                "apiVersion": version,
                "kind": "Role",
                "metadata": {"name": name, "namespace": namespace},
                "rules": rules,
            }),
            json!({
                "apiVersion": version,
                "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": namespace},
                "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
                "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
            }),
        ]);
        PathBuf::from(kubeconfig.trim_end())
    }
}
