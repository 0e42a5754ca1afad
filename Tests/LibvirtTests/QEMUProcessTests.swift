import Domain
import Foundation
import HostAgent
import Testing

@testable import LibvirtHypervisor

@Suite struct QEMUProcessTests {
    private let vm = VMID(trusted: UUID().uuidString.lowercased())

    private func commandLine(_ arguments: String...) -> [UInt8] {
        Array(arguments.map { $0 + "\0" }.joined().utf8)
    }

    @Test func `a VM's QEMU is known by its program and its UUID`() {
        let path = "/usr/bin/qemu-system-x86_64"
        #expect(QEMUProcess.isQEMU(commandLine: commandLine(path, "-name", "a", "-uuid", "\(vm)", "-no-user"), of: vm))
        #expect(!QEMUProcess.isQEMU(commandLine: commandLine(path, "-uuid", "\(otherVM)"), of: vm))
        #expect(!QEMUProcess.isQEMU(commandLine: commandLine(path, "-name", "\(vm)"), of: vm))
        #expect(!QEMUProcess.isQEMU(commandLine: commandLine("/usr/bin/virsh", "-uuid", "\(vm)"), of: vm))
        #expect(!QEMUProcess.isQEMU(commandLine: commandLine("/qemu/bin/less", "-uuid", "\(vm)"), of: vm))
        #expect(!QEMUProcess.isQEMU(commandLine: [], of: vm))
    }

    @Test func `killing returns when the process is dead, and at once when there is none`() throws {
        let link = FileManager.default.temporaryDirectory.appending(path: "qemu-\(UUID().uuidString)")
        try FileManager.default.createSymbolicLink(atPath: link.path(), withDestinationPath: "/bin/sh")
        defer { try? FileManager.default.removeItem(at: link) }
        let process = Process()
        process.executableURL = link
        process.arguments = ["-c", "echo up; read line", "-uuid", "\(vm)"]
        let (input, output) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (input, output)
        try process.run()
        #expect(output.fileHandleForReading.availableData == Data("up\n".utf8))

        #expect(try QEMUProcess(of: otherVM) == nil)
        let found = try #require(try QEMUProcess(of: vm))
        #expect(found.pid == process.processIdentifier)
        try found.kill(within: .seconds(10))
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
        #expect(process.terminationStatus == SIGKILL)
        try found.kill(within: .seconds(10))
        #expect(try QEMUProcess(of: vm) == nil)
    }

    @Test func `processes that cannot be listed are no proof that there is none`() {
        #expect(throws: HypervisorError.self) {
            try QEMUProcess(of: vm, proc: "/nonexistent")
        }
    }
}
