//! The report after a sync. It can fail without consequences for the export.

use std::path::Path;

use super::daemon::Service;
use super::written_report::WrittenReport;
use crate::failure::Failure;
use crate::observe::seconds;
use crate::report::{Report, ReportError, ReportOptions, make_file};
use crate::schedule::Job;

impl Service {
    /// Writes the configured report, if it would differ from the one that is there.
    pub(super) async fn report(&mut self) {
        let settings = &self.current.settings;
        let (path, range) = (settings.report.path.clone(), settings.report.range);
        let lake = settings.lake.path.clone();
        let Some(path) = path.filter(|_| !*self.options.stop.borrow()) else { return };
        // What keeps the lake from being read is logged there.
        let Some(figures) = self.show_lake(None).await.filter(|figures| figures.commit > 0) else {
            return;
        };
        let (commit, day) = (figures.commit, self.shared.now().utc_day());
        let wanted = WrittenReport { path, range, lake, commit, day };
        let is_written = self.written_report.as_ref() == Some(&wanted);
        if is_written && tokio::fs::try_exists(&wanted.path).await.unwrap_or(false) {
            return;
        }
        let metrics = &self.shared.metrics;
        match self.make_report(&wanted.path).await {
            Ok(report) => {
                metrics.note_report(Some(seconds(self.shared.now())));
                let (job, bytes) = (Job::Sync.name(), report.page.len());
                let (runs, regressions) = (report.runs, report.regressions);
                tracing::info!(job, bytes, runs, regressions, "wrote the report");
                self.written_report = Some(WrittenReport { commit: report.commit, ..wanted });
            }
            Err(error) => {
                metrics.note_report(None);
                let failure = Failure::from(error);
                tracing::warn!(job = Job::Sync.name(), "no report: {}", failure.line());
            }
        }
    }

    async fn make_report(&self, path: &Path) -> Result<Report, ReportError> {
        let options = ReportOptions::new(&self.current.settings, path, self.shared.now())?;
        make_file(&options, path).await
    }
}
