import APIContract

extension PlannedVM {
    static func columns(_ names: NameBook, stopsImmovable: Bool) -> [Column<PlannedVM>] {
        [
            Column("VM") { $0.name },
            Column("STATE") { $0.state },
            Column("CPUS") { String($0.cpus) },
            Column("MEMORY") { "\($0.memory) MiB" },
            Column("PLAN") { $0.plan(names, stopsImmovable: stopsImmovable) },
            Column("WHY") { $0.reason ?? "" },
            Column("CODE", isWide: true) { $0.code ?? "" },
            Column("ID", isWide: true) { $0.id },
        ]
    }

    func plan(_ names: NameBook, stopsImmovable: Bool) -> String {
        switch verdict {
        case "moves": "moves to \(names[target])"
        case "leaves": target == nil ? "is stopping" : "is moving to \(names[target])"
        case "immovable": stopsImmovable ? "is stopped" : "stays"
        case "waits": "stays for now"
        default: verdict
        }
    }
}

extension DrainedVM {
    /// What becomes of it, for people.
    func text(_ names: NameBook) -> String {
        let doing =
            switch stage {
            case "moving": "\(name) moves to \(names[target])"
            case "stopping": "\(name) is stopping"
            default: "\(name) stays"
            }
        return reason.map { "\(doing): \($0)" } ?? doing
    }
}
