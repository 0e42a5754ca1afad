/// One column of a table about `Row`s.
struct Column<Row> {
    let title: String
    /// Whether only `-o wide` shows it.
    let isWide: Bool
    let text: (Row) -> String

    init(_ title: String, isWide: Bool = false, _ text: @escaping (Row) -> String) {
        self.title = title
        self.isWide = isWide
        self.text = text
    }
}

/// Columns of equal width, for people.
enum Table {
    /// A heading and a line for each row. An empty cell is shown as `-`.
    static func render<Row>(_ rows: [Row], columns: [Column<Row>], isWide: Bool) -> String {
        let shown = columns.filter { isWide || !$0.isWide }
        return align([shown.map(\.title)] + rows.map { row in shown.map { $0.text(row) } })
    }

    /// One line for each fact of one thing.
    static func render(facts: [(name: String, value: String)]) -> String {
        align(facts.map { [$0.name + ":", $0.value] })
    }

    private static func align(_ lines: [[String]]) -> String {
        let cells = lines.map { line in line.map { $0.isEmpty ? "-" : TerminalText.visible($0) } }
        let count = cells.map(\.count).max() ?? 0
        let widths = (0..<count).map { index in cells.map { $0[index].count }.max() ?? 0 }
        return cells.map { line in
            let padded = zip(line, widths).dropLast().map { text, width in
                text + String(repeating: " ", count: width - text.count)
            }
            return (padded + line.suffix(1)).joined(separator: "   ") + "\n"
        }.joined()
    }
}
