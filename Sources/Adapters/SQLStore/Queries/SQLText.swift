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

    /// `items` in parts whose sizes are few, so that a statement for each size can be kept prepared.
    static func parts<Item>(of items: [Item]) -> [ArraySlice<Item>] {
        var parts: [ArraySlice<Item>] = []
        var rest = items[...]
        for size in [256, 64, 16, 4, 1] {
            while rest.count >= size {
                parts.append(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
        }
        return parts
    }

    /// `?, ?, ?`
    static func places(_ count: Int) -> String { Array(repeating: "?", count: count).joined(separator: ", ") }
}
