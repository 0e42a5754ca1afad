import Domain
import Foundation
import Subprocess

/// Asks `qemu-img` about a disk, bounded in time, memory and output, and without a shell.
struct DiskProbe: Sendable {
    var program = "qemu-img"
    var limit: Duration = .seconds(30)

    /// What `qemu-img info --output=json` says.
    private struct Info: Decodable {
        let format: String
        let virtualSize: Int64
        let backingFilename: String?
        let formatSpecific: Specific?

        struct Specific: Decodable {
            let data: Facts?
        }

        struct Facts: Decodable {
            let dataFile: String?
            let corrupt: Bool?

            enum CodingKeys: String, CodingKey {
                case dataFile = "data-file"
                case corrupt
            }
        }

        enum CodingKeys: String, CodingKey {
            case format
            case virtualSize = "virtual-size"
            case backingFilename = "backing-filename"
            case formatSpecific = "format-specific"
        }
    }

    /// The disk's size as a guest sees it. `format` is what the file's own magic says: nothing is guessed from here on.
    func virtualSize(of path: String, format: ImageFile.Format) async throws -> Int64 {
        let answer = try await ask(path, format)
        guard let info = try? JSONDecoder().decode(Info.self, from: Data(answer.utf8)) else {
            throw Fault(.bug, .internalError, "The server cannot read what qemu-img says.")
        }
        guard info.format == format.rawValue else {
            throw Fault.invalidImage(.disk, "has the format \(info.format); qcow2 and raw are accepted.")
        }
        guard info.backingFilename == nil, info.formatSpecific?.data?.dataFile == nil else {
            throw Fault.invalidImage(.disk, "refers to another file; it must be complete in itself.")
        }
        guard info.formatSpecific?.data?.corrupt != true else {
            throw Fault.invalidImage(.disk, "is marked corrupt.", hint: "Repair it: qemu-img check -r all FILE.")
        }
        guard info.virtualSize > 0 else { throw Fault.invalidImage(.disk, "is a disk of size 0.") }
        return info.virtualSize
    }

    private func ask(_ path: String, _ format: ImageFile.Format) async throws -> String {
        let answer = try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask { try await run(path, format) }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let answer else {
            throw Fault.invalidImage(.disk, "could not be examined within \(limit.components.seconds) seconds.")
        }
        return answer
    }

    private func run(_ path: String, _ format: ImageFile.Format) async throws -> String {
        let result: ExecutionResult<Void, StringOutput<UTF8>, StringOutput<UTF8>>
        do {
            // A crafted file can make qemu-img ask for more memory and time than any disk is worth.
            result = try await Subprocess.run(
                .name("prlimit"),
                arguments: [
                    "--as=1073741824", "--cpu=30", "--core=0", "--", program, "info", "--output=json", "-f",
                    format.rawValue, "--", path,
                ],
                environment: .inherit.updating(["LC_ALL": "C"]),
                output: .string(limit: 1 << 20), error: .string(limit: 1 << 16))
        } catch let error as SubprocessError {
            if error.code == .outputLimitExceeded {
                throw Fault.invalidImage(.disk, "makes qemu-img say more than any disk needs.")
            }
            throw Self.missing
        }
        switch result.terminationStatus {
        case .exited(0): return result.standardOutput
        case .exited(126), .exited(127): throw Self.missing
        case .exited, .signaled:
            throw Fault.invalidImage(
                .disk, "cannot be opened as \(format.rawValue): \(reason(result.standardError, path)).")
        }
    }

    /// What qemu-img complained of, without the server's own paths.
    private func reason(_ output: String, _ path: String) -> String {
        let line = output.split(separator: "\n").first.map(String.init) ?? "qemu-img gave up"
        let words = line.replacingOccurrences(of: path, with: "the file")
            .replacingOccurrences(of: "qemu-img: Could not open 'the file': ", with: "")
        return String(words.prefix(200).drop { $0 == " " }).trimmingCharacters(in: CharacterSet(charactersIn: ". "))
    }

    private static let missing = Fault(
        .unavailable, .commandFailed, "The server cannot examine disks: qemu-img is not there.",
        hint: "Install it on the server: apt-get install qemu-utils.")
}
