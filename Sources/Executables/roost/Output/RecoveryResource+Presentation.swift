import APIContract

extension RecoveryResource {
    /// All of it, for people; what is empty is left out.
    func text(at age: Age) -> String {
        var parts = [Table.render(facts: facts(at: age))]
        if !vms.isEmpty { parts.append(Table.render(vms, columns: DifferingVM.columns, isWide: false)) }
        if !domains.isEmpty {
            parts.append(
                Table.render(
                    domains,
                    columns: [
                        Column("DOMAIN WITHOUT A RECORD") { $0.vm }, Column("HOST") { $0.host },
                        Column("EPOCH") { String($0.epoch) }, Column("STATE") { $0.state },
                    ], isWide: false))
        }
        if !jobs.isEmpty {
            parts.append(Table.render(jobs, columns: RestoredJob.columns, isWide: false))
        }
        return parts.joined(separator: "\n")
    }

    private func facts(at age: Age) -> [(name: String, value: String)] {
        var facts = [(name: "state", value: state == "observing" ? "observing, changes nothing" : state)]
        if let reason { facts.append((name: "why", value: reason)) }
        if let since { facts.append((name: "for", value: age.since(since))) }
        for host in hosts {
            let last = host.lastSeenAt.map { ", before that \(age.since($0)) ago" } ?? ""
            facts.append((name: "NOT HEARD", value: "\(host.name): not since the records were restored\(last)"))
        }
        if state == "observing" { facts.append((name: "go on", value: "roost recover --accept")) }
        return facts
    }
}

extension DifferingVM {
    static var columns: [Column<DifferingVM>] {
        [
            Column("VM") { $0.name }, Column("RECORDED") { $0.state }, Column("EPOCH") { String($0.epoch) },
            Column("THEN") { $0.fate }, Column("WHY") { $0.why },
        ]
    }
}

extension RestoredJob {
    static var columns: [Column<RestoredJob>] {
        [
            Column("JOB") { $0.id }, Column("KIND") { $0.kind }, Column("EPOCH") { String($0.epoch) },
            Column("THEN") { $0.fate }, Column("WOULD") { $0.doing },
        ]
    }
}
