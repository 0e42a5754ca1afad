import Foundation
import Testing

/// Compares `text` with a golden file, line by line; `ROOST_UPDATE_GOLDEN=1` writes the file instead.
func expectGolden(_ name: String, _ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name).txt")
    if ProcessInfo.processInfo.environment["ROOST_UPDATE_GOLDEN"] == "1" {
        try text.write(to: file, atomically: true, encoding: .utf8)
        return
    }
    let wanted = try String(contentsOf: file, encoding: .utf8)
    let pairs = zip(text.split(separator: "\n"), wanted.split(separator: "\n"))
    for (is_, was) in pairs where is_ != was {
        Issue.record("\(name): the table says\n  \(was)\nand the code says\n  \(is_)", sourceLocation: sourceLocation)
    }
    #expect(text.count == wanted.count, "\(name): the table has another length", sourceLocation: sourceLocation)
}
