import ControlPlane
import Domain

/// Rows of `image` as records.
enum ImageRows {
    /// Written once.
    static let fixed = ["id", "revision", "created_at"]
    static let changing = ["name", "kind", "command_line", "files", "updated_at"]
    static let select = "SELECT \((fixed + changing).joined(separator: ", ")) FROM image"
    static let insert = SQLText.insert(into: "image", fixed + changing) + " ON CONFLICT (name) DO NOTHING"
    static let update = SQLText.update("image", changing) + " WHERE id = ? AND revision = ?"

    static let list = ListSQL<Image>(
        noun: "images", select: select,
        filters: ["name": .text("name"), "kind": .label("kind", Image.Kind.allCases.map(\.rawValue))],
        sorts: ["name": .text("name"), "createdAt": .time("created_at"), "updatedAt": .time("updated_at")],
        record: record)

    static func fixedValues(_ image: Image) -> [SQLValue] {
        [SQLValue(image.id), SQLValue(image.revision), SQLValue(image.createdAt)]
    }

    static func changingValues(_ image: Image, updatedAt: Timestamp) throws -> [SQLValue] {
        [
            SQLValue(image.name), SQLValue(image.kind), SQLValue(image.commandLine),
            SQLValue(try JSONText.encode(image.files)), SQLValue(updatedAt),
        ]
    }

    static func record(_ row: SQLRow) throws -> Image {
        let read = RowReader("image", row)
        return Image(
            id: try read.id("id"), name: try read.text("name"), kind: try read.label("kind"),
            commandLine: try read.text("command_line"), files: try read.json("files"),
            revision: try read.int("revision"), createdAt: try read.time("created_at"),
            updatedAt: try read.time("updated_at"))
    }
}

extension SQLTransaction: ImageTable {
    func image(_ id: ImageID) throws -> Image? {
        try records.query("\(ImageRows.select) WHERE id = ?", SQLValue(id)).first.map(ImageRows.record)
    }

    func image(named name: String) throws -> Image? {
        try records.query("\(ImageRows.select) WHERE name = ?", SQLValue(name)).first.map(ImageRows.record)
    }

    func images(_ query: ListQuery) throws -> ListPage<Image> { try ImageRows.list.page(query, on: records) }

    func insert(_ image: Image) throws {
        let values = ImageRows.fixedValues(image) + (try ImageRows.changingValues(image, updatedAt: image.updatedAt))
        guard try records.execute(ImageRows.insert, values) == 1 else { throw Fault.nameTaken("image", image.name) }
    }

    func replace(_ next: Image, atRevision revision: Int) throws -> Image {
        let arguments = try ImageRows.changingValues(next, updatedAt: now) + [SQLValue(next.id), SQLValue(revision)]
        do {
            guard try records.execute(ImageRows.update, arguments) == 1 else { throw LostRace() }
        } catch is UniqueViolation {
            throw Fault.nameTaken("image", next.name)
        }
        var stored = next
        stored.revision = revision + 1
        stored.updatedAt = now
        return stored
    }

    func remove(_ image: ImageID) throws {
        try records.execute("DELETE FROM image WHERE id = ?", SQLValue(image))
    }
}
