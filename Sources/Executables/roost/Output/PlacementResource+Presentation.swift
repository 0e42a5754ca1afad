import APIClient
import APIContract

extension PlacementHost {
    static func columns(chosen: PlacementHost?) -> [Column<PlacementHost>] {
        [
            Column("HOST") { $0.name },
            Column("CHOSEN") { $0.id == chosen?.id ? "yes" : "" },
            Column("FREE MEMORY") { "\($0.freeMemory) MiB" },
            Column("WHY NOT") { $0.reason ?? ($0.id == chosen?.id ? "" : "Another host has more free memory.") },
            Column("ID", isWide: true) { $0.id },
        ]
    }
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
