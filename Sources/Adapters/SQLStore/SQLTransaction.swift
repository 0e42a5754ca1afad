import ControlPlane
import Domain

/// All tables over one connection: the same SQL for every driver. The tables' methods stand beside their rows, in
/// `Queries`.
///
/// It lives as long as the body that it is passed to, and remembers what the driver tells others after the commit.
final class SQLTransaction: Transaction {
    let sql: any SQLConnection
    let now: Timestamp
    /// Events that the body added, in order.
    private(set) var events: [NumberedEvent] = []
    /// Whether the body wrote a job, other than by claiming it.
    private(set) var jobsTouched = false

    init(_ sql: any SQLConnection, now: Timestamp) {
        self.sql = sql
        self.now = now
    }

    func noteEvent(_ event: NumberedEvent) { events.append(event) }

    func noteJobs() { jobsTouched = true }
}
