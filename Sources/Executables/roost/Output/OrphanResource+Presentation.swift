import APIContract

extension OrphanResource {
    static var columns: [Column<OrphanResource>] {
        [
            Column("KIND") { $0.kind },
            Column("VM") { $0.vm },
            Column("EPOCH") { $0.epoch.map(String.init) ?? "unreadable" },
            Column("SIZE") { $0.sizeText },
            Column("STATE") { $0.state ?? "" },
            Column("WHY") { $0.why },
            Column("NAME", isWide: true) { $0.name ?? "" },
        ]
    }

    /// Of files their bytes, of a domain its CPUs and memory.
    private var sizeText: String {
        if let bytes { return ImageFileResource.sizeText(bytes) }
        guard let cpus, let memory else { return "" }
        return "\(cpus) CPUs, \(memory) MiB"
    }
}
