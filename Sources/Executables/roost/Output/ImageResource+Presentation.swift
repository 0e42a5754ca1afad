import APIContract

extension ImageResource {
    static func columns(_ age: Age) -> [Column<ImageResource>] {
        [
            Column("NAME") { $0.name },
            Column("KIND") { $0.kind },
            Column("STATE") { $0.state },
            Column("SIZE") { ImageFileResource.sizeText($0.files.reduce(0) { $0 + $1.size }) },
            Column("FORMATS", isWide: true) { $0.files.map { "\($0.part) \($0.format)" }.joined(separator: ", ") },
            Column("ID", isWide: true) { $0.id },
            Column("AGE") { age.since($0.createdAt) },
        ]
    }

    func facts() -> [(name: String, value: String)] {
        var facts = [
            (name: "name", value: name), (name: "id", value: id), (name: "kind", value: kind),
            (name: "state", value: state),
        ]
        if kind == "kernel" { facts.append((name: "command line", value: commandLine)) }
        for file in files {
            facts.append((name: file.part, value: file.text))
            facts.append((name: "  sha256", value: file.sha256))
        }
        return facts + [
            (name: "revision", value: String(revision)), (name: "created", value: createdAt),
            (name: "updated", value: updatedAt),
        ]
    }
}

extension ImageFileResource {
    fileprivate var text: String {
        let size = "\(format), \(Self.sizeText(self.size))"
        return virtualSize == self.size || virtualSize == 0
            ? size : "\(size), \(Self.sizeText(virtualSize)) for the guest"
    }

    private static let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    static func sizeText(_ bytes: Int64) -> String {
        if bytes < 1024 { return "\(bytes) B" }
        var unit = 0
        var size = Double(bytes) / 1024
        while size >= 1024, unit < Self.units.count - 1 {
            size /= 1024
            unit += 1
        }
        let tenths = Int(size * 10)
        return "\(tenths / 10).\(tenths % 10) \(Self.units[unit])"
    }
}
