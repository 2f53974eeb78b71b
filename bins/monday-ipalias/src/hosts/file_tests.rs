use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::*;
use crate::hosts::block::{Entry, Wanted, blocks, edited};
use crate::hosts::step::Step;
use crate::owner::{InstanceId, Owner};

struct Place {
    folder: tempfile::TempDir,
    path: PathBuf,
    owner: Owner,
    instance: InstanceId,
}

impl Place {
    fn new(content: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, content).unwrap();
        let owner = Owner::this_process();
        Self {
            path,
            folder,
            instance: InstanceId::new(&owner),
            owner,
        }
    }

    fn hosts(&self, how: HowToWrite) -> HostsFile {
        HostsFile::new(self.path.clone(), how)
    }

    fn put(&self, hosts: &mut HostsFile) -> Result<bool, Error> {
        let entries = [Entry {
            ip: [127, 77, 0, 1].into(),
            name: "api.local".parse().unwrap(),
        }];
        let wanted = Wanted {
            instance: &self.instance,
            owner: &self.owner,
            entries: &entries,
        };
        hosts.update(&|content| edited(content, Some(wanted), &|_| false))
    }

    fn take(&self, hosts: &mut HostsFile) -> Result<bool, Error> {
        hosts.update(&|content| edited(content, None, &|begin| begin.instance == self.instance))
    }

    fn content(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path()).unwrap().count()
    }

    fn inode(&self) -> u64 {
        fs::metadata(&self.path).unwrap().ino()
    }
}

fn in_place() -> HowToWrite {
    HowToWrite {
        in_place: true,
        ..HowToWrite::default()
    }
}

#[test]
fn a_block_is_put_in_and_taken_out_in_both_ways_of_writing() {
    for how in [HowToWrite::default(), in_place()] {
        let place = Place::new(b"127.0.0.1 localhost");
        let mut hosts = place.hosts(how);
        assert!(place.put(&mut hosts).unwrap());
        assert!(
            place
                .content()
                .ends_with(format!("{}\n", place.instance).as_bytes())
        );
        assert!(
            !place.put(&mut hosts).unwrap(),
            "nothing to do the second time"
        );
        assert!(place.take(&mut hosts).unwrap());
        assert_eq!(place.content(), b"127.0.0.1 localhost");
        assert_eq!(place.files(), 1);
    }
}

#[test]
fn a_missing_file_is_made_and_goes_again() {
    let place = Place::new(b"");
    fs::remove_file(&place.path).unwrap();
    let mut hosts = place.hosts(HowToWrite::default());
    assert!(place.put(&mut hosts).unwrap());
    assert!(place.take(&mut hosts).unwrap());
    assert_eq!(place.files(), 0);
}

#[test]
fn links_and_files_with_several_names_keep_their_inode() {
    let place = Place::new(b"127.0.0.1 localhost\n");
    let inode = place.inode();
    let link = place.folder.path().join("link");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    let mut hosts = HostsFile::new(link.clone(), HowToWrite::default());
    assert!(place.put(&mut hosts).unwrap());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(place.inode(), inode);
    assert!(place.take(&mut hosts).unwrap());

    fs::hard_link(&place.path, place.folder.path().join("second")).unwrap();
    assert!(place.put(&mut place.hosts(HowToWrite::default())).unwrap());
    assert_eq!(place.inode(), inode);
}

#[test]
fn unmatched_markers_leave_the_file_alone() {
    let content = b"# monday-ipalias end 0123456789abcdef\n";
    let place = Place::new(content);
    let refused = place
        .put(&mut place.hosts(HowToWrite::default()))
        .unwrap_err();
    assert!(refused.to_string().contains("line 1"), "{refused}");
    assert_eq!(place.content(), content);
}

#[test]
fn what_is_no_ordinary_file_is_refused_and_nobody_waits_for_it() {
    let place = Place::new(b"");
    fs::remove_file(&place.path).unwrap();
    nix::unistd::mkfifo(&place.path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(place.put(&mut place.hosts(HowToWrite::default())).is_err());
    fs::write(place.folder.path().join(".hosts.monday-new"), "left over").unwrap();
    assert!(place.put(&mut place.hosts(HowToWrite::default())).is_err());
}

#[test]
fn an_edit_by_somebody_else_at_the_same_moment_is_kept() {
    for how in [HowToWrite::default(), in_place()] {
        let place = Place::new(b"first\n");
        let path = place.path.clone();
        let times = AtomicUsize::new(0);
        let steps = Steps::told_to(move |step| {
            let moment = matches!(step, Step::TempReady | Step::JournalReady);
            let time = times.fetch_add(usize::from(moment), Ordering::Relaxed);
            if moment && time < 3 {
                fs::write(&path, format!("version {time}\n")).unwrap();
            }
        });
        let mut hosts = place.hosts(HowToWrite { steps, ..how });
        assert!(place.put(&mut hosts).unwrap());
        assert!(
            place
                .content()
                .starts_with(b"version 2\n# monday-ipalias begin")
        );
        assert!(place.take(&mut hosts).unwrap());
        assert_eq!(place.content(), b"version 2\n");
    }
}

#[test]
fn a_write_that_an_editor_began_before_and_ended_after_ours_is_kept() {
    let place = Place::new(b"first\n");
    let editor = OpenOptions::new().write(true).open(&place.path).unwrap();
    let mut hosts = place.hosts(HowToWrite::default());
    assert!(place.put(&mut hosts).unwrap());
    assert!(hosts.may_have_changed());
    FileExt::write_all_at(&editor, b"late!!!\n", 0).unwrap();
    assert!(place.put(&mut hosts).unwrap());
    assert!(
        place
            .content()
            .starts_with(b"late!!!\n# monday-ipalias begin")
    );
    // The editor goes on.
    FileExt::write_all_at(&editor, b"later\n", 8).unwrap();
    assert!(place.put(&mut hosts).unwrap());
    assert!(
        place
            .content()
            .starts_with(b"late!!!\nlater\n# monday-ipalias begin")
    );
    // After a few quiet looks the displaced file is let go.
    for _ in 0..3 {
        assert!(!place.put(&mut hosts).unwrap());
    }
    assert!(!hosts.may_have_changed());
}

#[test]
fn a_late_write_does_not_win_over_a_newer_version() {
    let place = Place::new(b"first\n");
    let editor = OpenOptions::new().write(true).open(&place.path).unwrap();
    let mut hosts = place.hosts(HowToWrite::default());
    assert!(place.put(&mut hosts).unwrap());
    FileExt::write_all_at(&editor, b"late!\n", 0).unwrap();
    fs::write(&place.path, b"newest\n").unwrap();
    assert!(place.put(&mut hosts).unwrap());
    assert!(place.content().starts_with(b"newest\n# monday"));
}

#[test]
fn an_editor_that_never_pauses_is_given_up_on_and_not_harmed() {
    let place = Place::new(b"theirs\n");
    let path = place.path.clone();
    let version = AtomicUsize::new(0);
    let steps = Steps::told_to(move |step| {
        if step == Step::TempReady {
            let version = version.fetch_add(1, Ordering::Relaxed);
            fs::write(&path, format!("theirs {version}\n")).unwrap();
        }
    });
    let mut hosts = place.hosts(HowToWrite {
        steps,
        ..HowToWrite::default()
    });
    assert!(matches!(
        place.put(&mut hosts),
        Err(Error::Overtaken { .. })
    ));
    assert!(place.content().starts_with(b"theirs "));
    assert_eq!(blocks(&place.content()), Ok(Vec::new()));
    assert_eq!(place.files(), 1);
}

#[test]
fn a_reader_never_sees_an_empty_or_a_half_file_when_it_is_swapped() {
    let original: Vec<u8> = b"10.0.0.1 somebody\n".repeat(2_000);
    let place = Place::new(&original);
    let stop = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(Mutex::new(0_usize));
    let reader = {
        let (path, stop, seen, original) = (
            place.path.clone(),
            Arc::clone(&stop),
            Arc::clone(&seen),
            original.clone(),
        );
        std::thread::spawn(move || {
            while stop.load(Ordering::Relaxed) == 0 {
                let content = fs::read(&path).unwrap();
                assert!(
                    content.starts_with(&original),
                    "{} bytes were seen",
                    content.len()
                );
                *seen.lock().unwrap() += 1;
            }
        })
    };
    let mut hosts = place.hosts(HowToWrite::default());
    for _ in 0..50 {
        place.put(&mut hosts).unwrap();
        place.take(&mut hosts).unwrap();
    }
    stop.store(1, Ordering::Relaxed);
    reader.join().unwrap();
    assert!(*seen.lock().unwrap() > 50);
    assert_eq!(place.content(), original);
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let place = Place::new(b"127.0.0.1 localhost");
    let writers: Vec<_> = (0..6)
        .map(|number| {
            let path = place.path.clone();
            std::thread::spawn(move || {
                let owner = Owner::this_process();
                let instance = InstanceId::new(&owner);
                let mut hosts = HostsFile::new(
                    path,
                    HowToWrite {
                        in_place: number % 2 == 0,
                        ..HowToWrite::default()
                    },
                );
                let entries = [Entry {
                    ip: [127, 77, 1, number].into(),
                    name: format!("n{number}.local").parse().unwrap(),
                }];
                for _ in 0..5 {
                    let wanted = Wanted {
                        instance: &instance,
                        owner: &owner,
                        entries: &entries,
                    };
                    hosts
                        .update(&|content| edited(content, Some(wanted), &|_| false))
                        .unwrap();
                    let content = String::from_utf8(hosts.read().unwrap().unwrap()).unwrap();
                    assert!(content.contains(&format!("n{number}.local")));
                    hosts
                        .update(&|content| {
                            edited(content, None, &|begin| begin.instance == instance)
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(place.content(), b"127.0.0.1 localhost");
    assert_eq!(place.files(), 1);
}

#[test]
fn an_ordinary_users_read_only_file_is_neither_written_nor_replaced() {
    if nix::unistd::geteuid().is_root() {
        // Root may write it; the end-to-end tests do this as another user.
        return;
    }
    let place = Place::new(b"mine\n");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o444)).unwrap();
    let refused = place
        .put(&mut place.hosts(HowToWrite::default()))
        .unwrap_err();
    assert!(matches!(refused, Error::Hosts { .. }));
    assert_eq!(place.content(), b"mine\n");
}

#[test]
fn a_private_copy_follows_the_file_that_it_is_a_copy_of() {
    let place = Place::new(b"what was here goes\n");
    let base = place.folder.path().join("base");
    fs::write(&base, "127.0.0.1 localhost").unwrap();
    let mut hosts = place.hosts(HowToWrite {
        base: Some(base.clone()),
        ..in_place()
    });
    let inode = place.inode();
    assert!(place.put(&mut hosts).unwrap());
    assert!(
        place
            .content()
            .starts_with(b"127.0.0.1 localhost\n# monday-ipalias begin")
    );
    assert!(!place.put(&mut hosts).unwrap());
    assert!(!hosts.may_have_changed());
    for new in [
        "10.0.0.1 added\n127.0.0.1 localhost\n",
        "127.0.0.1 localhost\n",
    ] {
        // As most programs write it.
        let beside = place.folder.path().join("beside");
        fs::write(&beside, new).unwrap();
        fs::rename(&beside, &base).unwrap();
        assert!(hosts.may_have_changed() && hosts.base_has_changed());
        assert!(place.put(&mut hosts).unwrap());
        assert!(
            place
                .content()
                .starts_with(format!("{new}# monday").as_bytes())
        );
        assert!(!hosts.may_have_changed());
        assert_eq!(fs::read(&base).unwrap(), new.as_bytes());
    }
    assert!(place.take(&mut hosts).unwrap());
    assert_eq!(place.content(), b"127.0.0.1 localhost\n");
    assert_eq!(place.inode(), inode);
}

#[test]
fn a_file_that_an_editor_is_in_the_middle_of_writing_is_waited_for() {
    let place = Place::new(b"127.0.0.1 localhost\n");
    let mut hosts = place.hosts(in_place());
    place.put(&mut hosts).unwrap();
    let theirs = [place.content(), b"10.0.0.1 more\n".to_vec()].concat();
    let half = theirs.len() / 2;
    assert!(
        blocks(&theirs[..half]).is_err(),
        "the end of the block is not written yet"
    );
    fs::write(&place.path, &theirs[..half]).unwrap();
    let editor = {
        let file = OpenOptions::new().write(true).open(&place.path).unwrap();
        std::thread::spawn(move || {
            // Longer than a file is taken to be unfinished because of its age alone.
            std::thread::sleep(QUIET * 3);
            FileExt::write_all_at(&file, &theirs, 0).unwrap();
        })
    };
    assert!(place.take(&mut hosts).unwrap());
    editor.join().unwrap();
    assert_eq!(place.content(), b"127.0.0.1 localhost\n10.0.0.1 more\n");
}

#[test]
fn a_file_that_an_editor_has_just_emptied_does_not_count_as_one_without_our_block() {
    // The editor is as quick as any, unless the machine is busy; it need not be each time.
    let survived = (0..10).any(|_| {
        let place = Place::new(b"127.0.0.1 localhost\n");
        let mut hosts = place.hosts(in_place());
        place.put(&mut hosts).unwrap();
        let theirs = [place.content(), b"10.0.0.1 more\n".to_vec()].concat();
        let editor = OpenOptions::new().write(true).open(&place.path).unwrap();
        editor.set_len(0).unwrap();
        let editing = std::thread::spawn(move || {
            std::thread::sleep(QUIET / 10);
            FileExt::write_all_at(&editor, &theirs, 0).unwrap();
        });
        place.take(&mut hosts).unwrap();
        editing.join().unwrap();
        place.content() == b"127.0.0.1 localhost\n10.0.0.1 more\n"
    });
    assert!(survived, "the block is left in the file each time");
}

#[test]
fn a_file_that_makes_no_sense_for_long_is_not_waited_for() {
    let place = Place::new(b"# monday-ipalias end 0123456789abcdef\n");
    let file = OpenOptions::new().write(true).open(&place.path).unwrap();
    file.set_modified(SystemTime::now() - UNFINISHED * 2)
        .unwrap();
    let begin = Instant::now();
    place.put(&mut place.hosts(in_place())).unwrap_err();
    assert!(begin.elapsed() < UNFINISHED);
}

#[test]
fn a_late_write_is_kept_even_if_ours_was_the_last_one() {
    let place = Place::new(b"first\n");
    place.put(&mut place.hosts(HowToWrite::default())).unwrap();
    // An editor has opened the file; it writes when ours has just taken the file's place.
    let editor = Mutex::new(Some(
        OpenOptions::new().append(true).open(&place.path).unwrap(),
    ));
    let steps = Steps::told_to(move |step| {
        if step == Step::OldRemoved
            && let Some(editor) = editor.lock().unwrap().take()
        {
            io::Write::write_all(&mut &editor, b"late\n").unwrap();
        }
    });
    let mut hosts = place.hosts(HowToWrite {
        steps,
        ..HowToWrite::default()
    });
    let take =
        |content: Option<&[u8]>| edited(content, None, &|begin| begin.instance == place.instance);
    assert!(hosts.update_and_wait_for_late_writes(&take).unwrap());
    assert_eq!(place.content(), b"first\nlate\n");
}

#[test]
fn a_torn_file_is_read_as_its_journal_will_make_it() {
    let place = Place::new(b"127.0.0.1 localhost\n");
    place.put(&mut place.hosts(in_place())).unwrap();
    let with_block = place.content();
    let journal = Journal {
        old: b"127.0.0.1 localhost\n".to_vec(),
        new: [with_block.as_slice(), b"10.0.0.1 more\n"].concat(),
    };
    let location = Location::of(&place.path).unwrap();
    let places = Journal::places(&location, None);
    journal.write(&places, &Steps::default()).unwrap();
    // Killed in the middle of the block.
    let torn = &journal.new[..with_block.len() / 2];
    fs::write(&place.path, torn).unwrap();
    assert!(blocks(torn).is_err());
    let hosts = place.hosts(HowToWrite::default());
    assert_eq!(hosts.read().unwrap().as_ref(), Some(&journal.new));
    let count = hosts.read_as(|bytes| blocks(bytes.unwrap()).map(|blocks| blocks.len()));
    assert_eq!(count.unwrap(), 1);
    assert_eq!(place.content(), torn, "it was only read");
}
