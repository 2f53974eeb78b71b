//! The executables that the supervisor runs: found ([`locate`]), started ([`launch`]), kept alive and told their wishes
//! again after they died ([`keeper`]); and what a dead one left behind is ended ([`nursery`]).

pub mod keeper;
pub mod launch;
pub mod locate;
pub mod nursery;
pub mod wish;
