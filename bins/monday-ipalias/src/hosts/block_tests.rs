use proptest::prelude::*;

use super::*;

struct Instance {
    id: InstanceId,
    owner: Owner,
}

impl Instance {
    fn new() -> Self {
        let owner = Owner::this_process();
        Self {
            id: InstanceId::new(&owner),
            owner,
        }
    }

    fn put(&self, content: Option<&[u8]>, entries: &[Entry]) -> Option<Vec<u8>> {
        let wanted = Wanted {
            instance: &self.id,
            owner: &self.owner,
            entries,
        };
        edited(content, Some(wanted), &|_| false).unwrap()
    }

    fn take(&self, content: Option<&[u8]>) -> Option<Vec<u8>> {
        edited(content, None, &|begin| begin.instance == self.id).unwrap()
    }
}

fn entries(names: &[&str]) -> Vec<Entry> {
    names
        .iter()
        .zip(1..)
        .map(|(name, last)| Entry {
            ip: IpAddr::from([127, 77, 0, last]),
            name: name.parse().unwrap(),
        })
        .collect()
}

const DEBIAN: &[u8] = b"127.0.0.1\tlocalhost\n127.0.1.1\tbox\n\n# IPv6\n::1 localhost\n";

#[test]
fn a_block_goes_to_the_end_and_leaves_without_a_trace() {
    let ours = Instance::new();
    let with = ours
        .put(Some(DEBIAN), &entries(&["api.local", "db.local"]))
        .unwrap();
    let text = String::from_utf8(with.clone()).unwrap();
    let added: Vec<&str> = text[DEBIAN.len()..].lines().collect();
    assert_eq!(added.len(), 4);
    assert!(added[0].starts_with("# monday-ipalias begin "));
    assert_eq!(
        &added[1..3],
        ["127.77.0.1\tapi.local", "127.77.0.2\tdb.local"]
    );
    assert!(with.starts_with(DEBIAN));
    assert_eq!(ours.take(Some(&with)).unwrap(), DEBIAN);
}

#[test]
fn a_block_is_renewed_where_it_stands() {
    let ours = Instance::new();
    let mut file = ours.put(Some(DEBIAN), &entries(&["api.local"])).unwrap();
    file.extend_from_slice(b"10.0.0.1 later\n");
    let renewed = ours
        .put(Some(&file), &entries(&["api.local", "db.local"]))
        .unwrap();
    let text = String::from_utf8(renewed.clone()).unwrap();
    assert!(text.ends_with("10.0.0.1 later\n"));
    assert!(text.contains("db.local"));
    assert_eq!(blocks(&renewed).unwrap().len(), 1);
    assert_eq!(
        ours.put(Some(&renewed), &entries(&["api.local", "db.local"])),
        Some(renewed)
    );
}

#[test]
fn no_names_mean_no_block() {
    let ours = Instance::new();
    let with = ours.put(Some(DEBIAN), &entries(&["api.local"])).unwrap();
    let without = edited(
        Some(&with),
        Some(Wanted {
            instance: &ours.id,
            owner: &ours.owner,
            entries: &[],
        }),
        &|_| false,
    );
    assert_eq!(without.unwrap().unwrap(), DEBIAN);
}

#[test]
fn new_lines_end_as_most_lines_do() {
    let ours = Instance::new();
    let windows = b"127.0.0.1 localhost\r\n::1 localhost\r\n";
    let with = ours.put(Some(windows), &entries(&["api.local"])).unwrap();
    assert!(lines(&with).all(|line| line.ending == Some(Ending::CrLf)));
    assert_eq!(ours.take(Some(&with)).unwrap(), windows);
}

#[test]
fn a_missing_last_line_ending_is_missing_again_afterwards() {
    for original in [
        b"127.0.0.1 localhost".as_slice(),
        b"a\r\nb\r\nc",
        b"a\r",
        b"\xff\xfe",
        b" ",
    ] {
        let ours = Instance::new();
        let with = ours.put(Some(original), &entries(&["api.local"])).unwrap();
        assert_eq!(blocks(&with).unwrap().len(), 1);
        assert_eq!(ours.take(Some(&with)).unwrap(), original);
    }
}

#[test]
fn an_ending_that_somebody_needs_by_now_is_not_taken_away() {
    let ours = Instance::new();
    let mut with = ours
        .put(Some(b"10.0.0.1 a"), &entries(&["api.local"]))
        .unwrap();
    with.extend_from_slice(b"10.0.0.2 b\n");
    assert_eq!(ours.take(Some(&with)).unwrap(), b"10.0.0.1 a\n10.0.0.2 b\n");

    // Somebody put a line of their own, with its ending, where ours had to be ended.
    let with = ours
        .put(Some(b"10.0.0.1 a"), &entries(&["api.local"]))
        .unwrap();
    let text = String::from_utf8(with)
        .unwrap()
        .replace("10.0.0.1 a", "10.0.0.3 c");
    assert_eq!(ours.take(Some(text.as_bytes())).unwrap(), b"10.0.0.3 c\n");
}

#[test]
fn instances_share_a_file_in_any_order_of_coming_and_going() {
    let original = b"10.0.0.1 no-end".as_slice();
    let (one, two) = (Instance::new(), Instance::new());
    let with_one = one.put(Some(original), &entries(&["a.local"])).unwrap();
    let with_both = two.put(Some(&with_one), &entries(&["b.local"])).unwrap();
    assert_eq!(two.take(Some(&with_both)).unwrap(), with_one);
    // The first one leaves first: the second one's block now says that the line before it had no ending.
    let with_two = one.take(Some(&with_both)).unwrap();
    assert_eq!(blocks(&with_two).unwrap().len(), 1);
    assert_eq!(
        two.put(Some(&with_two), &entries(&["b.local"])).unwrap(),
        with_two
    );
    assert_eq!(two.take(Some(&with_two)).unwrap(), original);
}

#[test]
fn a_file_that_was_made_for_a_block_goes_with_the_last_block() {
    let (one, two) = (Instance::new(), Instance::new());
    let with_one = one.put(None, &entries(&["a.local"])).unwrap();
    let with_both = two.put(Some(&with_one), &entries(&["b.local"])).unwrap();
    let with_two = one.take(Some(&with_both)).unwrap();
    assert_eq!(two.take(Some(&with_two)), None);
    assert_eq!(
        two.take(Some(&[with_two, b"# mine\n".to_vec()].concat()))
            .unwrap(),
        b"# mine\n"
    );
    // One that was there and empty stays there and empty.
    let in_empty = one.put(Some(b""), &entries(&["a.local"])).unwrap();
    assert_eq!(one.take(Some(&in_empty)).unwrap(), b"");
    assert_eq!(edited(None, None, &|_| true), Ok(None));
}

#[test]
fn damaged_nested_and_unmatched_markers_are_errors_that_name_the_line() {
    let block = |instance: &Instance| {
        String::from_utf8(instance.put(Some(b""), &entries(&["a.local"])).unwrap()).unwrap()
    };
    let (one, two) = (block(&Instance::new()), block(&Instance::new()));
    let without_last_line = |text: &str| text.split_inclusive('\n').take(2).collect::<String>();
    let without_first_line = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    for (file, line) in [
        (format!("# x\n{}", without_last_line(&one)), 2),
        (without_first_line(&one), 2),
        (format!("{}{two}", without_last_line(&one)), 3),
        (format!("{one}{one}"), 4),
        (
            format!("{}{}", without_last_line(&one), without_first_line(&two)),
            4,
        ),
        (format!("{one}# monday-ipalias begin garbage\n"), 4),
    ] {
        let ours = Instance::new();
        let entries = entries(&["api.local"]);
        let wanted = Wanted {
            instance: &ours.id,
            owner: &ours.owner,
            entries: &entries,
        };
        let refused = edited(Some(file.as_bytes()), Some(wanted), &|_| true);
        assert_eq!(refused.unwrap_err().line, line, "{file}");
    }
}

#[test]
fn an_end_marker_that_lost_its_line_ending_still_ends_the_block() {
    let ours = Instance::new();
    let mut with = ours.put(Some(DEBIAN), &entries(&["a.local"])).unwrap();
    with.pop();
    assert_eq!(ours.take(Some(&with)).unwrap(), DEBIAN);
}

/// Bytes as they stand in hosts files, and as they do not.
fn any_file() -> impl Strategy<Value = Option<Vec<u8>>> {
    let piece = prop_oneof![
        Just(b"127.0.0.1 localhost".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"# monday-ipalia".to_vec()),
        Just(b"s begin".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::option::of(proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()))
}

proptest! {
    #[test]
    fn whatever_the_file_was_it_is_the_same_again_afterwards(
        original in any_file(),
        rounds in proptest::collection::vec((0..3_usize, 0..3_usize), 0..12),
    ) {
        prop_assume!(blocks(original.as_deref().unwrap_or_default()).is_ok());
        let instances = [Instance::new(), Instance::new(), Instance::new()];
        let names = [entries(&[]), entries(&["a.local"]), entries(&["a.local", "b.local"])];
        let mut file = original.clone();
        for (who, what) in rounds {
            file = match names[what].as_slice() {
                [] => instances[who].take(file.as_deref()),
                some => instances[who].put(file.as_deref(), some),
            };
            // Foreign bytes are there in the meantime, too.
            let foreign = original.as_deref().unwrap_or_default();
            prop_assert!(file.as_deref().unwrap_or_default().starts_with(foreign));
        }
        for instance in &instances {
            file = instance.take(file.as_deref());
        }
        prop_assert_eq!(file, original);
    }

    #[test]
    fn no_bytes_make_the_parser_fail_otherwise_than_by_an_error(bytes in any_file()) {
        let bytes = bytes.unwrap_or_default();
        if let Ok(found) = blocks(&bytes) {
            for block in found {
                prop_assert!(block.span.end <= bytes.len());
            }
        }
    }
}
