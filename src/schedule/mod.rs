//! Cron expressions → syncs, one at a time.

mod expression;

pub use expression::{Expression, ExpressionError};
