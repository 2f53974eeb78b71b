//! Blocks of ours within a hosts file, and the one way in which its content changes: our own block is put in, renewed
//! or taken out, blocks of the dead are taken out, and every other byte stays what it is.

use std::net::IpAddr;
use std::ops::Range;

use super::marker::{Begin, Marker, Terminated, end_line};
use super::text::{Ending, dominant_ending, lines};
use crate::owner::{InstanceId, Owner};
use monday_shared::hostname::Hostname;

/// One line of a block: this name leads to this address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub ip: IpAddr,
    /// The name.
    pub name: Hostname,
}

/// A block in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its first line.
    pub begin: Begin,
    /// Where it stands, both markers included.
    pub span: Range<usize>,
    /// The number of its first line, counted from 1.
    pub line: usize,
}

/// The markers of the file do not make sense, so it is not touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its line {line} {what}; monday-ipalias leaves such a file alone: remove that block by hand"
)]
pub struct Malformed {
    /// Which line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Finds the blocks of a file.
///
/// # Errors
/// [`Malformed`] if markers are damaged, nested, without their other half, or there twice: what belongs to whom would
/// have to be guessed.
pub fn blocks(bytes: &[u8]) -> Result<Vec<Block>, Malformed> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for line in lines(bytes) {
        let malformed = |what| {
            Err(Malformed {
                line: line.number,
                what,
            })
        };
        match (Marker::parse(line.content), open.take()) {
            (None, still_open) => open = still_open,
            (Some(Marker::Garbled), _) => {
                return malformed("is a damaged marker of monday-ipalias");
            }
            (Some(Marker::Begin(_)), Some(_)) => {
                return malformed("begins a block within another block of monday-ipalias");
            }
            (Some(Marker::Begin(begin)), None) => {
                if found
                    .iter()
                    .any(|block| block.begin.instance == begin.instance)
                {
                    return malformed("begins a block of monday-ipalias that is there already");
                }
                open = Some(Block {
                    begin,
                    span: line.span,
                    line: line.number,
                });
            }
            (Some(Marker::End(instance)), Some(mut block)) if instance == block.begin.instance => {
                block.span.end = line.span.end;
                found.push(block);
            }
            (Some(Marker::End(_)), _) => {
                return malformed("ends a block of monday-ipalias that does not begin");
            }
        }
    }
    match open {
        None => Ok(found),
        Some(Block { line, .. }) => Err(Malformed {
            line,
            what: "begins a block of monday-ipalias that does not end",
        }),
    }
}

/// The block that an instance wants to have.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The instance.
    pub instance: &'a InstanceId,
    /// Its process.
    pub owner: &'a Owner,
    /// The lines; without any there is no block.
    pub entries: &'a [Entry],
}

/// The content that a file should have: `wanted` in it, and without the blocks that `obsolete` says. `None` stands for
/// a file that does not exist, before and after.
///
/// Taking out what was put in gives back exactly the bytes (and the absence) that were there before.
///
/// # Errors
/// [`Malformed`], see [`blocks`].
pub fn edited(
    content: Option<&[u8]>,
    wanted: Option<Wanted<'_>>,
    obsolete: &dyn Fn(&Begin) -> bool,
) -> Result<Option<Vec<u8>>, Malformed> {
    let bytes = content.unwrap_or_default();
    let ending = dominant_ending(bytes);
    let stays = |begin: &Begin| match wanted {
        Some(wanted) if *wanted.instance == begin.instance => !wanted.entries.is_empty(),
        _ => !obsolete(begin),
    };
    let mut wanted = wanted.filter(|wanted| !wanted.entries.is_empty());
    let blocks = blocks(bytes)?;
    // The mark that the file was made by us moves on to a block that stays.
    let mut created = content.is_none()
        || blocks
            .iter()
            .any(|block| block.begin.created && !stays(&block.begin));

    let mut out = Vec::with_capacity(bytes.len() + 512);
    let mut cursor = 0;
    // An ending that a block taken out had added to the line before it, while nothing else has followed it yet.
    let mut terminated: Option<Terminated> = None;
    for block in blocks {
        let foreign = &bytes[cursor..block.span.start];
        cursor = block.span.end;
        out.extend_from_slice(foreign);
        let inherited = terminated.take().filter(|_| foreign.is_empty());
        let mut begin = block.begin.clone();
        begin.terminated = begin.terminated.or(inherited);
        if !stays(&begin) {
            terminated = begin.terminated;
            continue;
        }
        begin.created |= std::mem::take(&mut created);
        match wanted.take_if(|wanted| *wanted.instance == begin.instance) {
            Some(wanted) => render(&mut out, &begin, wanted.entries, ending),
            None if begin == block.begin => out.extend_from_slice(&bytes[block.span]),
            None => replace_first_line(&mut out, &begin, &bytes[block.span]),
        }
    }
    let tail = &bytes[cursor..];
    out.extend_from_slice(tail);
    if let Some(added) = terminated.filter(|_| tail.is_empty()) {
        take_ending_away(&mut out, added);
    }
    if let Some(wanted) = wanted {
        let begin = Begin {
            instance: wanted.instance.clone(),
            owner: wanted.owner.clone(),
            terminated: end_last_line(&mut out, ending),
            created: std::mem::take(&mut created),
        };
        render(&mut out, &begin, wanted.entries, ending);
    }
    // Still marked: nothing of ours stayed, so a file that was made by us and holds nothing goes as well.
    let absent = created && out.is_empty();
    Ok((!absent).then_some(out))
}

fn render(out: &mut Vec<u8>, begin: &Begin, entries: &[Entry], ending: Ending) {
    let mut line = |text: String| {
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(ending.bytes());
    };
    line(begin.to_string());
    for Entry { ip, name } in entries {
        line(format!("{ip}\t{name}"));
    }
    line(end_line(&begin.instance));
}

fn replace_first_line(out: &mut Vec<u8>, begin: &Begin, block: &[u8]) {
    out.extend_from_slice(begin.to_string().as_bytes());
    if let Some(first) = lines(block).next() {
        out.extend_from_slice(&block[first.content.len()..]);
    }
}

/// Ends the last line where it has no ending, and says so.
fn end_last_line(out: &mut Vec<u8>, ending: Ending) -> Option<Terminated> {
    let last = lines(out).last()?;
    if last.ending.is_some() {
        return None;
    }
    let terminated = Terminated::new(last.content, ending);
    out.extend_from_slice(ending.bytes());
    Some(terminated)
}

/// Takes the ending away that was added, if the line that got it is still the last one.
fn take_ending_away(out: &mut Vec<u8>, added: Terminated) {
    let Some(without) = out.strip_suffix(added.with.bytes()) else {
        return;
    };
    if lines(without)
        .last()
        .is_some_and(|line| line.ending.is_none() && added.is_of(line.content))
    {
        out.truncate(without.len());
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
