import Foundation
import Glibc

/// What `/proc` says of processes.
enum ProcessTable {
    /// Resident memory of a process, by what it consists of; KiB.
    struct Memory: Hashable {
        let resident: Int
        /// The process's own: heap, stacks, and data that it changed.
        let anonymous: Int
        /// Pages of files, programs and libraries; the kernel can take them back, and shares them among processes.
        let file: Int
    }

    static func memory(of pid: Int32) throws -> Memory {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8) else {
            throw MeasureFailed("Process \(pid) is gone.")
        }
        var values: [Substring: Int] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.count > 1, let value = Int(words[1]) { values[words[0]] = value }
        }
        guard let resident = values["VmRSS:"], let anonymous = values["RssAnon:"], let file = values["RssFile:"] else {
            throw MeasureFailed("/proc/\(pid)/status does not tell the memory.")
        }
        return Memory(resident: resident, anonymous: anonymous, file: file)
    }

    /// What this process has used of the processors.
    static func processorTime() -> Duration {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_utime.duration + usage.ru_stime.duration
    }

    /// The QEMU that runs the domain with this UUID, if there is one.
    static func qemu(of uuid: String) -> Int32? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        for pid in names.compactMap({ Int32($0) }) {
            guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"), !bytes.isEmpty else {
                continue
            }
            let arguments = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard arguments[0].contains("qemu-system-") else { continue }
            if let flag = arguments.firstIndex(of: "-uuid"), arguments.dropFirst(flag + 1).first == uuid { return pid }
        }
        return nil
    }
}

extension timeval {
    fileprivate var duration: Duration { .seconds(tv_sec) + .microseconds(tv_usec) }
}
