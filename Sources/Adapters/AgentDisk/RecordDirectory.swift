import Domain
import FoundationEssentials

/// A directory of small JSON files, one for each id. A file that cannot be understood is an error, never an absence.
struct RecordDirectory<ID: Identifier, Record: Codable>: Sendable {
    let path: String

    private struct Stored: Codable {
        var version = 1
        let record: Record
    }

    init(path: String) throws {
        self.path = path
        do {
            try DurableFile.makeDirectory(path, mode: 0o700)
            try DurableFile.sweep(path)
        } catch let failure as FileFailure {
            throw failure.fault
        }
    }

    func ids() throws -> [ID] {
        let names: [String]
        do { names = try DurableFile.names(in: path) } catch { throw error.fault }
        let suffix = Self.suffix
        return names.compactMap { name in name.hasSuffix(suffix) ? ID(String(name.dropLast(suffix.count))) : nil }
            .sorted()
    }

    func record(_ id: ID) throws -> Record? {
        let file = "\(path)/\(name(id))"
        let bytes: [UInt8]?
        do { bytes = try DurableFile.read(file) } catch { throw error.fault }
        guard let bytes else { return nil }
        guard let stored = try? JSONDecoder().decode(Stored.self, from: Data(bytes)), stored.version == 1 else {
            throw Fault(
                .unavailable, .internalError, "The agent's file \(file) is damaged or of a newer agent.",
                hint: "Restore it, or run the agent that wrote it; without it the agent cannot tell what it did.")
        }
        return stored.record
    }

    /// Returns when the record is durable.
    func store(_ record: Record, as id: ID) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let bytes = [UInt8](try encoder.encode(Stored(record: record)))
        do { try DurableFile.write(bytes, to: name(id), in: path) } catch { throw error.fault }
    }

    func remove(_ id: ID) throws {
        do { try DurableFile.remove(name(id), in: path) } catch { throw error.fault }
    }

    /// nil when there is no record.
    func secondsSinceChange(_ id: ID) -> Int? { DurableFile.secondsSinceChange("\(path)/\(name(id))") }

    private static var suffix: String { ".json" }

    private func name(_ id: ID) -> String { "\(id)\(Self.suffix)" }
}
