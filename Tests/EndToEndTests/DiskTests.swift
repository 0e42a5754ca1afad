import APIContract
import Foundation
import Testing

extension EndToEnd {
    /// VMs from disk images: each has an overlay of its own in the pool.
    @Suite(.serialized) struct Disks {
        /// A 1 MiB disk whose boot sector counts its boots in the second sector, and says the count on the serial port:
        /// read sector 2 (int 13h), add one, write it back, print `roost disk: boot N`, halt.
        private static let bootSector = """
            31c08ed88ec08ed0bc007c8816ed7db80102bb007eb90200b600cd13fe06007e\
            b80103bb007eb90200b6008a16ed7dcd13be5e7cac84c07405e81300ebf6a000\
            7e0430e80900b00ae80400fbf4ebfc50bafd03eca82074fb58baf803eec3726f\
            6f7374206469736b3a20626f6f742000
            """

        static func writeDisk(to path: String) throws {
            var disk = Data(count: 1 << 20)
            let digits = Array(bootSector.utf8)
            for index in stride(from: 0, to: digits.count, by: 2) {
                disk[index / 2] = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) ?? 0
            }
            disk[510] = 0x55
            disk[511] = 0xAA
            try disk.write(to: URL(filePath: path))
        }

        @Test(arguments: ["raw", "qcow2"])
        func `a root disk outlives its domain, and its image stays as it was`(format: String) async throws {
            let bench = try await EndToEnd.bench()
            let raw = "\(bench.faults)/disk-\(format).img"
            try Self.writeDisk(to: raw)
            var file = raw
            if format == "qcow2" {
                file = "\(bench.faults)/disk.qcow2"
                let made = try await Program.run(
                    "/usr/bin/qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, file])
                #expect(made.status == 0)
            }
            // It has no partition table, so that a raw one has to be vouched for.
            let vouched = format == "raw" ? ["--raw"] : []
            let created = try await bench.tryRoost(
                arguments: ["image", "create", "disk-\(format)", "--disk", file] + vouched)
            #expect(created.status == 0, "\(created.err)")
            let image = try await bench.roost("image", "show", "disk-\(format)", "-o", "json").json(ImageResource.self)
            #expect(image.files.map(\.format) == [format])
            #expect(image.files.first?.virtualSize == 1 << 20)

            let (one, two) = ("one-\(format)", "two-\(format)")
            let vm = try await bench.runningVM(one, on: "h1", image: "disk-\(format)")
            try await bench.console(of: one, says: "roost disk: boot 1")
            try await bench.roost("vm", "stop", one, "--mode", "cold")
            // The hosts share their pool, so the disk is at hand on the other one too.
            try await bench.roost("vm", "start", one, "--host", "h2")
            try await bench.console(of: one, says: "roost disk: boot 2")
            _ = try await bench.runningVM(two, on: "h1", image: "disk-\(format)")
            try await bench.console(of: two, says: "roost disk: boot 1")

            let pool = "\(bench.directory)/shared-pool/disks"
            #expect(try FileManager.default.contentsOfDirectory(atPath: pool).contains { $0.hasPrefix(vm.id) })
            // A deleted VM keeps its disk for a time, and comes back with it.
            try await bench.roost("vm", "delete", one)
            #expect(try await bench.vm(one).state == "destroyed")
            #expect(try FileManager.default.contentsOfDirectory(atPath: pool).contains { $0.hasPrefix(vm.id) })
            try await bench.roost("vm", "recover", one)
            try await bench.roost("vm", "start", one, "--host", "h1")
            #expect(try await bench.vm(one).epoch == 3)
            try await bench.console(of: one, says: "roost disk: boot 3")
            try await bench.roost("vm", "delete", one)
            try await bench.roost("vm", "expunge", one)
            #expect(try await bench.tryRoost("vm", "show", one).status == 3)
            try await bench.roost("vm", "delete", two, "--expunge")
            #expect(try FileManager.default.contentsOfDirectory(atPath: pool).isEmpty)
            try await bench.roost("image", "delete", "disk-\(format)")
        }

        @Test func `a file that is no image is refused and leaves nothing behind`() async throws {
            let bench = try await EndToEnd.bench()
            let file = "\(bench.faults)/letter.txt"
            try Data("Dear hypervisor,\n".utf8).write(to: URL(filePath: file))
            for arguments in [["--disk", file], ["--kernel", file, "--initrd", file]] {
                let refused = try await bench.tryRoost(arguments: ["image", "create", "letter"] + arguments)
                #expect(refused.status == 1)
                #expect(refused.err.contains("roost: "))
                #expect(!refused.err.contains("Swift"))
                #expect(try await bench.tryRoost("image", "show", "letter").status == 3)
            }
        }
    }

    /// Who may come in.
    @Suite(.serialized) struct Identity {
        @Test func `a join token works once, and a second agent with the same identity is refused`() async throws {
            let bench = try await EndToEnd.bench()
            let before = try await bench.host("h1")
            let added = try await bench.roost("host", "add", "newcomer", "-o", "json").json(AddedHost.self)
            let agent = "\(Bench.root)/.build/debug/roost-agent"
            let join = { (token: String, directory: String) in
                try await bench(
                    "exec", "h2", "timeout", "20", agent, "--server", "10.0.0.1:7443", "--join", token, "--data-dir",
                    directory, "--acceleration", "qemu")
            }
            // The first use makes it a host; the agent is then ended by its time limit.
            let data = "\(bench.directory)/newcomer"
            async let first: Output? = try? join(added.joinToken, data)
            try await bench.connected("newcomer")
            let second = try await bench.attempt(
                "exec", "h2", "timeout", "20", agent, "--server", "10.0.0.1:7443", "--join", added.joinToken,
                "--data-dir", "\(data)-2", "--acceleration", "qemu")
            #expect(second.status != 0 && second.status != 124)
            #expect(second.err.contains("used already"))

            // A copy of the newcomer's identity, while it lives.
            try FileManager.default.copyItem(atPath: data, toPath: "\(data)-copy")
            let copy = try await bench.attempt(
                "exec", "h2", "timeout", "4", agent, "--server", "10.0.0.1:7443", "--data-dir", "\(data)-copy",
                "--acceleration", "qemu")
            #expect(copy.err.contains("already-connected") || copy.err.contains("another agent"))
            #expect(try await bench.host("newcomer").session == 1)
            _ = await first
            try await bench.disconnected("newcomer")
            try await bench.roost("host", "delete", "newcomer")
            #expect(try await bench.host("h1").session == before.session)
        }

        @Test func `a wrong token and a damaged join token are clear errors`() async throws {
            let bench = try await EndToEnd.bench()
            let denied = try await bench.tryRoost("vm", "list", "--token", "nonsense")
            #expect(denied.status == 5)
            let agent = "\(Bench.root)/.build/debug/roost-agent"
            let damaged = try await bench.attempt(
                "exec", "h2", agent, "--server", "10.0.0.1:7443", "--join", "gibberish", "--data-dir",
                "\(bench.directory)/nobody")
            #expect(damaged.status != 0)
            #expect(damaged.err.contains("token"))
        }
    }

    /// SIGTERM.
    @Suite(.serialized) struct Draining {
        @Test func `a server that is asked to stop in the middle of a stop hands it over`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("drain", on: "h1")
            try bench.set("agent-stop.before-libvirt", "hold", on: "h1")
            try await bench.roost("vm", "stop", "drain", "--mode", "cold", "--no-wait")
            try await until("the stop is held", limit: 20) {
                bench.isThere("agent-stop.before-libvirt", "held", on: "h1")
            }
            let began = ContinuousClock.now
            try await bench("server", "stop")
            #expect(ContinuousClock.now - began < .seconds(10))
            #expect(try await bench.domains(on: "h1") == [vm.id])
            try await bench.startServer()
            try bench.clear("agent-stop.before-libvirt", "hold", on: "h1")
            try await bench.vm("drain", becomes: "stopped")
            try await until("the operation has ended", limit: 20) { try await bench.vm("drain").operation == nil }
            #expect(try await bench.domains(on: "h1").isEmpty)
            try await bench.connected("h1")
            try await bench.roost("vm", "delete", "drain", "--expunge")
        }
    }
}
