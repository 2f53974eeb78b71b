//! Takes what the system tells.

use std::path::PathBuf;

use super::{Eyes, Purpose, Root, Site};
use crate::backend::{Notice, Place, What};
use crate::change::Kind;
use crate::tree::{Eye, TOP};

impl Root {
    /// Takes one event. Returns whether it matters.
    pub(crate) fn take(&mut self, notice: &Notice, eyes: Eyes<'_>) -> bool {
        match notice.to.place {
            Place::Way => {
                self.moved = true;
                true
            }
            Place::Door(door) => self.take_door(door.number, notice),
            // A folder below tells about itself when its parent has told already.
            Place::Folder(folder) if notice.what == What::Itself => {
                self.moved |= folder == TOP;
                folder == TOP
            }
            Place::Folder(folder) => {
                let mut eyes = eyes;
                let mut eye = Eye::new(eyes.as_deref_mut(), self.id);
                let Site::Folder { tree, .. } = &mut self.site else {
                    return false;
                };
                let batch = &mut self.batch;
                let matters = tree.take(folder, notice, &mut eye, &mut |below, kind, compared| {
                    if compared {
                        batch.note_compared(below.to_owned(), kind);
                    } else {
                        batch.note(below.to_owned(), kind);
                    }
                });
                if eye.limit_met() {
                    self.fall_back(eyes);
                }
                matters
            }
        }
    }

    fn take_door(&mut self, number: u16, notice: &Notice) -> bool {
        let Some(door) = self.doors.get(usize::from(number)) else {
            return false;
        };
        if notice.what == What::Itself {
            self.moved = true;
            return true;
        }
        if door.name != notice.name {
            return false;
        }
        let names = matches!(notice.what, What::Created | What::MovedIn | What::Gone);
        match door.purpose {
            Purpose::Rules => self.above_is_stale = true,
            Purpose::Way => self.moved |= names,
            Purpose::File => {
                self.moved |= names;
                let kind = match notice.what {
                    What::Created => Kind::Created,
                    What::MovedIn | What::Written | What::Itself => Kind::Written,
                    What::Closed => Kind::PerhapsWritten,
                    What::Gone => Kind::Gone,
                };
                self.batch.note(PathBuf::new(), kind);
            }
        }
        true
    }

    /// The system dropped events.
    pub(crate) fn lose_events(&mut self) {
        if !self.is_polled() {
            self.events_lost = true;
        }
    }
}
