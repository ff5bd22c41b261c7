//! Doubles of a sink: one that answers as it is told, and one whose attempts last until they are let go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::error::Result;
use crate::sink::{Attempt, Outcome, Report, Sink};

type Answer = dyn Fn(u64, u32) -> Outcome + Send + Sync;

/// Answers by a function of the event's number and the attempt's.
pub struct DoubleSink {
    answer: Box<Answer>,
    permits: Option<Semaphore>,
    log: Mutex<Vec<Step>>,
}

/// What happened in a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Began(u64),
    Ended(u64),
}

impl DoubleSink {
    pub fn answering(answer: impl Fn(u64, u32) -> Outcome + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), permits: None, log: Mutex::default() })
    }

    /// Attempts last until [`DoubleSink::let_go`].
    pub fn slow(answer: impl Fn(u64, u32) -> Outcome + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), permits: Some(Semaphore::new(0)), log: Mutex::default() })
    }

    pub fn let_go(&self, attempts: usize) {
        self.permits.as_ref().expect("a slow sink").add_permits(attempts);
    }

    pub fn steps(&self) -> Vec<Step> {
        self.log.lock().expect("log").clone()
    }

    /// The events whose attempts began, in order.
    pub fn begun(&self) -> Vec<u64> {
        let begun = |step: Step| if let Step::Began(seq) = step { Some(seq) } else { None };
        self.steps().into_iter().filter_map(begun).collect()
    }

    /// How many attempts are under way.
    pub fn running(&self) -> usize {
        let steps = self.steps();
        let ended = steps.iter().filter(|step| matches!(step, Step::Ended(_))).count();
        steps.len() - 2 * ended
    }
}

pub fn transient() -> Outcome {
    Outcome::Transient { retry_after: None }
}

pub fn retry_after(secs: u64) -> Outcome {
    Outcome::Transient { retry_after: Some(Duration::from_secs(secs)) }
}

#[async_trait]
impl Sink for DoubleSink {
    async fn attempt(&self, attempt: Attempt<'_>) -> Result<Report> {
        let seq = attempt.event.sequence;
        self.log.lock().expect("log").push(Step::Began(seq));
        if let Some(permits) = &self.permits {
            permits.acquire().await.expect("an open semaphore").forget();
        } else {
            tokio::task::yield_now().await;
        }
        let outcome = (self.answer)(seq, attempt.number);
        self.log.lock().expect("log").push(Step::Ended(seq));
        let summary = format!("{outcome:?}");
        Ok(Report::new(outcome, summary))
    }

    async fn probe(&self) -> Result<String> {
        Ok("fine".to_owned())
    }

    fn dry_run(&self, _attempt: Attempt<'_>) -> Result<String> {
        Ok("nothing".to_owned())
    }
}
