//! Transaction blocks, as far as reads go: there is nothing to roll back but settings and cursors.

use pgwire::messages::response::TransactionStatus;

use super::sqlstate::{Fault, INVALID_SAVEPOINT, NO_TRANSACTION};
use super::variables::Moment;

/// Where a conversation stands.
#[derive(Debug, Default)]
pub(super) enum Transaction {
    /// Each statement is by itself.
    #[default]
    None,
    /// Between `BEGIN` and its end.
    Open(Block),
    /// A statement of the block failed: nothing is done before its end.
    Failed(Block),
}

/// A block: the settings at its beginning and at each savepoint.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) start: Moment,
    /// The settings that end with the block, by name, as they were before.
    pub(super) local: Vec<(String, Option<String>)>,
    savepoints: Vec<(String, Moment)>,
}

impl Transaction {
    pub(super) fn begin(&mut self, settings: Moment) {
        *self = Self::Open(Block { start: settings, local: vec![], savepoints: vec![] });
    }

    pub(super) fn status(&self) -> TransactionStatus {
        match self {
            Self::None => TransactionStatus::Idle,
            Self::Open(_) => TransactionStatus::Transaction,
            Self::Failed(_) => TransactionStatus::Error,
        }
    }

    pub(super) fn is_block(&self) -> bool {
        !matches!(self, Self::None)
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// A statement failed.
    pub(super) fn fail(&mut self) {
        *self = match std::mem::take(self) {
            Self::Open(block) | Self::Failed(block) => Self::Failed(block),
            Self::None => Self::None,
        };
    }

    /// Remembers that a setting ends with the block.
    pub(super) fn set_local(&mut self, name: &str, before: Option<String>) {
        if let Self::Open(block) = self {
            block.local.push((name.to_owned(), before));
        }
    }

    /// Ends the block, if there is one; returns whether all went well, and the block.
    pub(super) fn end(&mut self) -> Option<(bool, Block)> {
        match std::mem::take(self) {
            Self::None => None,
            Self::Open(block) => Some((true, block)),
            Self::Failed(block) => Some((false, block)),
        }
    }

    pub(super) fn savepoint(&mut self, name: String, settings: Moment) -> Result<(), Fault> {
        match self {
            Self::Open(block) => {
                block.savepoints.push((name, settings));
                Ok(())
            }
            _ => Err(outside("SAVEPOINT")),
        }
    }

    /// Forgets a savepoint and those after it.
    pub(super) fn release(&mut self, name: &str) -> Result<(), Fault> {
        let Self::Open(block) = self else { return Err(outside("RELEASE SAVEPOINT")) };
        let at = place(block, name)?;
        block.savepoints.truncate(at);
        Ok(())
    }

    /// Goes back to a savepoint, which stays; returns the settings of then.
    pub(super) fn roll_back_to(&mut self, name: &str) -> Result<Moment, Fault> {
        let (Self::Open(mut block) | Self::Failed(mut block)) = std::mem::take(self) else {
            return Err(outside("ROLLBACK TO SAVEPOINT"));
        };
        let (at, settings) = match place(&block, name) {
            Ok(at) => (at, block.savepoints[at].1.clone()),
            Err(fault) => {
                *self = Self::Failed(block);
                return Err(fault);
            }
        };
        block.savepoints.truncate(at + 1);
        *self = Self::Open(block);
        Ok(settings)
    }
}

fn place(block: &Block, name: &str) -> Result<usize, Fault> {
    let found = block.savepoints.iter().rposition(|(known, _)| known == name);
    found.ok_or_else(|| Fault::error(INVALID_SAVEPOINT, format!("savepoint \"{name}\" does not exist")))
}

fn outside(what: &str) -> Fault {
    Fault::error(NO_TRANSACTION, format!("{what} can only be used in transaction blocks"))
}
