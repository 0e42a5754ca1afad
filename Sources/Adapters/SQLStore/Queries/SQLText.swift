/// The statements that follow from a table's columns alone.
enum SQLText {
    static func insert(into table: String, _ columns: [String]) -> String {
        let places = columns.map { _ in "?" }.joined(separator: ", ")
        return "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(places))"
    }

    /// Sets `columns` and raises the revision; the condition is the caller's.
    static func update(_ table: String, _ columns: [String]) -> String {
        let assignments = columns.map { "\($0) = ?" }.joined(separator: ", ")
        return "UPDATE \(table) SET \(assignments), revision = revision + 1"
    }

    /// `row` so many times, with commas between.
    static func rows(_ count: Int, _ row: String) -> String {
        Array(repeating: row, count: count).joined(separator: ", ")
    }

    /// How many rows or values a statement has place for. There are few sizes, so that one for each can be kept prepared.
    private static let sizes = [512, 128, 32, 8, 2, 1]

    /// `items` in parts that fill a statement each.
    static func parts<Item>(of items: [Item]) -> [ArraySlice<Item>] {
        var parts: [ArraySlice<Item>] = []
        var rest = items[...]
        for size in sizes {
            while rest.count >= size {
                parts.append(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
        }
        return parts
    }

    /// `items` in as few statements as hold them, each with the number of places that it has; what is left over of them is to
    /// be filled with nulls.
    static func groups<Item>(of items: [Item]) -> [(items: ArraySlice<Item>, places: Int)] {
        stride(from: 0, to: items.count, by: sizes[0]).map { begin in
            let part = items[begin..<min(begin + sizes[0], items.count)]
            return (part, sizes.last { $0 >= part.count } ?? part.count)
        }
    }

    /// `?, ?, ?`
    static func places(_ count: Int) -> String { Array(repeating: "?", count: count).joined(separator: ", ") }
}
