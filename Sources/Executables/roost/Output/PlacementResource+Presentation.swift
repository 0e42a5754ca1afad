import APIClient
import APIContract

extension PlacementHost {
    static func columns(chosen: PlacementHost?) -> [Column<PlacementHost>] {
        [
            Column("HOST") { $0.name },
            Column("CHOSEN") { $0.id == chosen?.id ? "yes" : "" },
            Column("FREE CPUS") { String($0.freeCPUs) },
            Column("FREE MEMORY") { "\($0.freeMemory) MiB" },
            Column("SCORE") { $0.score.text },
            Column("WHY NOT") { $0.reason ?? ($0.id == chosen?.id ? "" : "Another host has a higher score.") },
            Column("CODE", isWide: true) { $0.code ?? "" },
            Column("ID", isWide: true) { $0.id },
        ]
    }
}

extension PlacementScoreResource {
    /// The shares that are free, memory first, because it counts first.
    fileprivate var text: String { "\(Self.percent(freeMemory)) memory, \(Self.percent(freeCPUs)) CPUs" }

    private static func percent(_ thousandths: Int) -> String { "\(thousandths / 10).\(thousandths % 10)%" }
}

extension Printer {
    func plan(_ plan: Answer<PlacementResource>, chosen: PlacementHost?) throws {
        switch format {
        case .table, .wide:
            let columns = PlacementHost.columns(chosen: chosen)
            try output.write(Table.render(plan.value.hosts, columns: columns, isWide: format == .wide))
        case .json, .yaml: try document(plan.text)
        case .name: if let chosen { try line(chosen.name) }
        }
    }
}
