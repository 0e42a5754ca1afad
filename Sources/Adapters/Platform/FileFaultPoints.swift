package import Domain
import FoundationEssentials
import Glibc

/// Fault points that a test controls through files in one directory, from outside the process.
///
/// `NAME.crash` kills the process at the point, as `kill -9` does, and is removed first so that the next process lives.
/// `NAME.hold` holds whoever reaches the point until the file is gone; `NAME.held` says that somebody is held.
package struct FileFaultPoints: FaultPoints {
    private let directory: String
    private let pollInterval: Duration = .milliseconds(5)

    package init(directory: String) { self.directory = directory }

    /// Those that the environment asks for in `ROOST_FAULTS`; none outside tests.
    package static func fromEnvironment() -> any FaultPoints {
        guard let directory = ProcessInfo.processInfo.environment["ROOST_FAULTS"], !directory.isEmpty else {
            return NoFaultPoints()
        }
        return FileFaultPoints(directory: directory)
    }

    package func reach(_ name: String) async {
        crashIfAsked(name)
        guard exists(name, "hold") else { return }
        markHeld(name)
        while exists(name, "hold") { try? await Task.sleep(for: pollInterval) }
        crashIfAsked(name)
    }

    package func reachBlocking(_ name: String) {
        crashIfAsked(name)
        guard exists(name, "hold") else { return }
        markHeld(name)
        while exists(name, "hold") { usleep(5000) }
        crashIfAsked(name)
    }

    private func path(_ name: String, _ suffix: String) -> String { "\(directory)/\(name).\(suffix)" }

    private func exists(_ name: String, _ suffix: String) -> Bool { access(path(name, suffix), F_OK) == 0 }

    private func markHeld(_ name: String) {
        _ = FileManager.default.createFile(atPath: path(name, "held"), contents: nil)
    }

    private func crashIfAsked(_ name: String) {
        guard unlink(path(name, "crash")) == 0 else { return }
        kill(getpid(), SIGKILL)
    }
}
