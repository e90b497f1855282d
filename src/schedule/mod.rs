//! Cron expressions → the jobs that are due. Does not depend on what a job does.

mod expression;
mod timetable;

pub use expression::{Expression, ExpressionError};
pub use timetable::{Due, Job, Timetable, longest_pause};
