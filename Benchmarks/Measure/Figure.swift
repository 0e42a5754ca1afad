import Foundation

/// One measured figure, as a line for the table.
struct Figure {
    let name: String
    let value: String
    /// What was promised; nil for a figure that only explains another.
    var limit: String?
    var isMet = true

    /// Name, value, limit and verdict, apart by tabs.
    func print() {
        let verdict = limit == nil ? "" : isMet ? "ok" : "NOT"
        FileHandle.standardOutput.write(Data("\(name)\t\(value)\t\(limit ?? "")\t\(verdict)\n".utf8))
    }
}

/// What the person at the terminal sees while it is measured.
func tell(_ progress: String) { FileHandle.standardError.write(Data("measure: \(progress)\n".utf8)) }

/// A measurement that could not be made, and why.
struct MeasureFailed: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
