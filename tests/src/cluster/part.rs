//! The parts of a cluster, which fail as other people's clusters do.

use super::Cluster;

/// One of its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `kube-apiserver`.
    ApiServer,
    /// `kubelet`.
    Kubelet,
    /// `containerd`; its pods live on without it.
    Containerd,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::ApiServer => "apiserver",
            Self::Kubelet => "kubelet",
            Self::Containerd => "containerd",
        }
    }
}

impl Cluster {
    /// Kills it (SIGKILL) and leaves it down.
    pub fn kill(&self, part: Part) {
        self.script(["kill", part.name()]);
    }

    /// Starts it again.
    pub fn start(&self, part: Part) {
        self.script(["start", part.name()]);
    }
}
