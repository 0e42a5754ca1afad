import ControlPlane
import Domain
import Synchronization

/// Figures for Prometheus: what the records say now, and how many requests were answered.
package final class Metrics: Sendable {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let services: APIServices
    private let answers = Mutex<[AnswerKind: Int]>([:])
    private let counted = Mutex<Counted?>(nil)
    /// Counting walks all records, so nobody can make the server do it more often than this.
    private let countEvery: Duration = .seconds(5)

    private struct AnswerKind: Hashable {
        let method: String
        let status: Int
    }

    private struct Counted: Sendable {
        let at: Duration
        let figures: [Figure]
    }

    private struct Figure: Sendable {
        let name: String
        let summary: String
        let label: String
        let values: [(String, Int)]
    }

    package init(_ services: APIServices) { self.services = services }

    package func answered(_ method: String, _ status: Int) {
        answers.withLock { $0[AnswerKind(method: method, status: status), default: 0] += 1 }
    }

    package func page() async throws -> String {
        var text = """
            # HELP roost_build_info The running version.
            # TYPE roost_build_info gauge
            roost_build_info{version="\(Self.escaped(services.version))",node="\(Self.escaped(services.node))"} 1

            """
        for figure in try await figures() {
            text += "# HELP \(figure.name) \(figure.summary)\n# TYPE \(figure.name) gauge\n"
            for (value, count) in figure.values { text += "\(figure.name){\(figure.label)=\"\(value)\"} \(count)\n" }
        }
        text += "# HELP roost_http_requests_total Requests answered.\n# TYPE roost_http_requests_total counter\n"
        let answers = answers.withLock { $0 }.sorted { ($0.key.method, $0.key.status) < ($1.key.method, $1.key.status) }
        for (kind, count) in answers {
            text += "roost_http_requests_total{method=\"\(kind.method)\",status=\"\(kind.status)\"} \(count)\n"
        }
        return text
    }

    private func figures() async throws -> [Figure] {
        let now = services.time.monotonic()
        if let counted = counted.withLock({ $0 }), now - counted.at < countEvery { return counted.figures }
        let vms = try await count(VMState.Label.allCases.map(\.rawValue)) {
            let page = try await self.services.vms.vms($0)
            return ListPage(items: page.items.map(\.vm.state.label.rawValue), next: page.next)
        }
        let hosts = try await count(Host.Connection.allCases.map(\.rawValue)) {
            let page = try await self.services.hosts.hosts($0)
            return ListPage(items: page.items.map(\.host.connection.rawValue), next: page.next)
        }
        let operations = try await countUnfinished(.operation, states: ["pending", "running", JobState.parkedLabel])
        let gcJobs = try await countUnfinished(.gc, states: ["waiting", "running", JobState.parkedLabel])
        let figures = [
            Figure(name: "roost_vms", summary: "VMs by state.", label: "state", values: vms),
            Figure(name: "roost_hosts", summary: "Hosts by connection.", label: "connection", values: hosts),
            Figure(
                name: "roost_operations", summary: "Unfinished operations by state.", label: "state",
                values: operations),
            Figure(name: "roost_gc_jobs", summary: "Unfinished GC jobs by state.", label: "state", values: gcJobs),
        ]
        counted.withLock { $0 = Counted(at: now, figures: figures) }
        return figures
    }

    private func countUnfinished(
        _ purpose: JobKind.Purpose, states: [String]
    ) async throws -> [(String, Int)] {
        var counts: [(String, Int)] = []
        for state in states {
            let found = try await count([state]) { query in
                var query = query
                query.filters["state"] = state
                let page = try await self.services.jobs.jobs(purpose, query)
                return ListPage(items: page.items.map { _ in state }, next: page.next)
            }
            counts += found
        }
        return counts
    }

    /// How many items of all pages have each of `values`, also those that no item has.
    private func count(
        _ values: [String], _ page: (ListQuery) async throws -> ListPage<String>
    ) async throws -> [(String, Int)] {
        var counts: [String: Int] = [:]
        var query = ListQuery(limit: 500)
        while true {
            let found = try await page(query)
            for value in found.items { counts[value, default: 0] += 1 }
            guard let next = found.next else { break }
            query.after = next
        }
        return values.map { ($0, counts[$0] ?? 0) }
    }

    private static func escaped(_ text: String) -> String {
        String(text.flatMap { $0 == "\\" || $0 == "\"" ? "\\\($0)" : $0 == "\n" ? "\\n" : String($0) })
    }
}
