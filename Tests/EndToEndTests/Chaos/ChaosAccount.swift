import APIContract
import Foundation

/// What has to be true of all that was ever accepted, once everything has ended.
struct ChaosAccount: Sendable {
    let chaos: ChaosBench
    private let began = Date()

    init(_ chaos: ChaosBench) { self.chaos = chaos }

    func check() async throws {
        try await chaos.check.checkOperations()
        let operations = try await chaos.api().all("/operations", of: OperationResource.self)
        let jobs = try await chaos.api().all("/gc-jobs", of: GCJobResource.self)
        let asked = Set(chaos.journal.operations)
        for operation in operations where !asked.contains(operation.id) {
            chaos.journal.violated("nobody was told of the operation \(operation): one request was accepted twice")
        }
        for operation in operations where operation.outcome == "deferred" {
            let left = jobs.filter {
                $0.vm == operation.vm && $0.epoch == operation.epoch && $0.kind != "release-placement"
            }
            if left.isEmpty { chaos.journal.violated("what \(operation) left to a GC job is lost") }
        }
        for (what, same) in Dictionary(
            grouping: jobs, by: { "\($0.kind) of \($0.vm) of epoch \($0.epoch) on \($0.host)" })
        where same.count > 1 {
            chaos.journal.violated("\(same.count) GC jobs for \(what)")
        }
        for job in jobs { chaos.journal.count("\(job.kind) \(job.outcome ?? job.state)") }
        try checkEvents()
        let counts = chaos.fleet.counts
        chaos.journal.note(
            "simulated hosts: \(counts.commands) commands, \(counts.refusals) refused, \(counts.starts) starts, \(counts.ends) ends"
        )
    }

    /// Events have no gap, and they and the jobs carry the time of the database, whatever the nodes think that it is.
    private func checkEvents() throws {
        // Before it began the bench was made; no clock is off by so little.
        let times = [began.addingTimeInterval(-3600), Date().addingTimeInterval(3600)].map {
            Int64($0.timeIntervalSince1970 * 1000)
        }
        for (what, sql) in [
            ("events are missing", "SELECT max(id) - min(id) + 1 - count(*) FROM event"),
            (
                "events carry an earlier time than those before them",
                """
                SELECT count(*) FROM (SELECT recorded_at - lag(recorded_at) OVER (ORDER BY id) AS step FROM event) AS steps
                WHERE step < 0
                """
            ),
            (
                "events are from another day",
                "SELECT count(*) FROM event WHERE recorded_at NOT BETWEEN \(times[0]) AND \(times[1])"
            ),
            (
                "jobs are from another day",
                """
                SELECT count(*) FROM job WHERE created_at NOT BETWEEN \(times[0]) AND \(times[1])
                OR ended_at NOT BETWEEN \(times[0]) AND \(times[1])
                """
            ),
        ] {
            let count = try chaos.postgres.run(sql, on: chaos.database).first ?? "nothing"
            if count != "0" { chaos.journal.violated("\(count) \(what)") }
        }
        let lost = try chaos.postgres.run(
            "SELECT count(*) FROM event WHERE kind = 'node.lost'", on: chaos.database)
        chaos.journal.note("nodes taken for dead: \(lost.first ?? "")")
    }
}
