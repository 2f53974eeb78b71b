//! A forward: what was wished for, and what makes it true.
//!
//! This is the one place that knows all kinds. A kind is a folder of its own with a type that reads its specification
//! and starts it; from then on it speaks to the rest only through its [`Scope`].

use std::time::Duration;

use monday_shared::protocol::fwd::{ForwardSpec, ForwardStatus};

use crate::error::Error;
use crate::kubernetes::KubernetesWish;
use crate::kubernetes_remote::{Course, KubernetesRemoteWish, Surroundings};
use crate::listener::Bound;
use crate::place::Place;
use crate::scope::Scope;
use crate::ssh::{SshRemoteWish, SshWish};

/// How long the end of a forward may take: its connections are cut, which needs nobody's consent, and the other end is
/// told good-bye.
const END_WITHIN: Duration = Duration::from_secs(1);

/// A specification that makes sense.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Ssh(SshWish),
    SshRemote(SshRemoteWish),
    Kubernetes(KubernetesWish),
    KubernetesRemote(KubernetesRemoteWish),
}

impl Wish {
    /// Reads a specification. Nothing is looked up or connected to yet.
    ///
    /// # Errors
    /// [`Error::EmptyId`], or what is wrong with it.
    pub(crate) fn read(spec: &ForwardSpec) -> Result<Self, Error> {
        if spec.id().is_empty() {
            return Err(Error::EmptyId);
        }
        let wrong = |reason| Error::Spec {
            id: spec.id().to_owned(),
            reason,
        };
        match spec {
            ForwardSpec::Ssh(spec) => SshWish::read(spec).map(Self::Ssh),
            ForwardSpec::SshRemote(spec) => SshRemoteWish::read(spec).map(Self::SshRemote),
            ForwardSpec::Kubernetes(spec) => KubernetesWish::read(spec).map(Self::Kubernetes),
            ForwardSpec::KubernetesRemote(spec) => {
                KubernetesRemoteWish::read(spec).map(Self::KubernetesRemote)
            }
        }
        .map_err(wrong)
    }

    /// Where it wants to listen on this machine; nothing for the remote types.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Self::Ssh(wish) => Some(wish.place()),
            Self::SshRemote(_) | Self::KubernetesRemote(_) => None,
            Self::Kubernetes(wish) => Some(wish.place()),
        }
    }

    /// Where it listens, as far as that is known before it does.
    pub(crate) fn listen(&self) -> String {
        match self {
            Self::Ssh(wish) => wish.place().to_string(),
            Self::SshRemote(wish) => wish.listen(),
            Self::Kubernetes(wish) => wish.place().to_string(),
            Self::KubernetesRemote(wish) => wish.listen(),
        }
    }

    /// Begins; `bound` is where it listens on this machine, if it does. What it changes elsewhere has a course of its
    /// own, that is to be ended before its scope is.
    fn start(
        self,
        scope: &Scope,
        bound: Option<&Bound>,
        surroundings: &Surroundings,
    ) -> Option<Course> {
        match (self, bound) {
            (Self::KubernetesRemote(wish), _) => {
                return Some(wish.start(scope, surroundings.clone()));
            }
            (Self::Ssh(wish), Some(bound)) => wish.start(scope, bound.clone()),
            (Self::SshRemote(wish), _) => wish.start(scope),
            (Self::Kubernetes(wish), Some(bound)) => wish.start(scope, bound.clone()),
            // The table binds what has a place.
            (Self::Ssh(_) | Self::Kubernetes(_), None) => scope.failed("it has nowhere to listen"),
        }
        None
    }
}

/// A forward that is open.
#[derive(Debug)]
pub(crate) struct Forward {
    /// As it was wished for.
    pub(crate) spec: ForwardSpec,
    /// Where it was asked to listen on this machine, perhaps with port 0.
    pub(crate) asked: Option<Place>,
    /// Where it listens on this machine.
    pub(crate) bound: Option<Bound>,
    /// How it is.
    pub(crate) scope: Scope,
    /// What it changes elsewhere.
    course: Option<Course>,
}

impl Forward {
    /// Opens it.
    pub(crate) fn start(
        spec: ForwardSpec,
        wish: Wish,
        bound: Option<Bound>,
        scope: Scope,
        surroundings: &Surroundings,
    ) -> Self {
        let asked = wish.place().cloned();
        let course = wish.start(&scope, bound.as_ref(), surroundings);
        Self {
            spec,
            asked,
            bound,
            scope,
            course,
        }
    }

    /// The forward as it really is.
    pub(crate) fn status(&self) -> ForwardStatus {
        self.scope.status()
    }

    /// Closes it and cuts its connections, after it has put back what it has changed elsewhere.
    ///
    /// # Errors
    /// Why it could not put that back.
    pub(crate) async fn end(&mut self) -> Result<(), Error> {
        let put_back = match self.course.take() {
            Some(course) => course.end().await,
            None => Ok(()),
        };
        self.scope.end(END_WITHIN).await;
        put_back.map_err(|why| Error::Failed {
            id: self.scope.id().to_owned(),
            why,
        })
    }

    /// Has it changed something elsewhere that takes a while to put back?
    pub(crate) fn takes_a_while_to_end(&self) -> bool {
        self.course.is_some()
    }
}
