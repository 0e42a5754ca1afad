import AgentContract
import Domain
import GRPCCore
import Platform
import Testing

@Suite struct WireTests {
    private let image = ImageSource(
        id: ImageID(from: SystemIDs()), kind: .disk, commandLine: "console=ttyS0",
        files: [ImageFile(part: .disk, format: .qcow2, size: 5, virtualSize: 1 << 40, sha256: "ab")])

    @Test func `every command survives the wire`() throws {
        var commands: [HostCommand] = StopMode.allCases.map {
            .stop(
                StopVMCommand(vm: testVM, epoch: Epoch(7), mode: $0, timeout: .milliseconds(1500), ignoreNotFound: true)
            )
        }
        commands.append(.destroy(DestroyVMCommand(vm: testVM, epoch: Epoch(7), removesDisk: true)))
        commands += GuestControl.allCases.map {
            .control(ControlVMCommand(vm: testVM, epoch: Epoch(7), control: $0, timeout: .seconds(3)))
        }
        commands.append(
            .start(StartVMCommand(vm: testVM, epoch: Epoch(.max), name: "web", cpus: 2, memory: 512, image: image)))
        commands.append(
            .prepareMigration(
                PrepareMigrationCommand(
                    vm: testVM, epoch: Epoch(8), source: someHost, image: image, copiesStorage: true)))
        let options = MigrationOptions(copiesStorage: true, autoConverges: true, allowsPostCopy: true, timeout: 7)
        commands += [landing(.disk("/d")), landing(.kernel(kernel: "/k", initrd: "/i", commandLine: "a"))].map {
            .migrate(
                MigrateVMCommand(
                    vm: testVM, epoch: Epoch(7), destination: someHost, arrivalEpoch: Epoch(8), landing: $0,
                    options: options))
        }
        commands += [true, false].map {
            .completeMigration(CompleteMigrationCommand(vm: testVM, epoch: Epoch(7), resumes: $0))
        }
        commands.append(.cancelMigration(CancelMigrationCommand(vm: testVM, epoch: Epoch(7))))
        commands.append(.adopt(AdoptVMCommand(vm: testVM, epoch: Epoch(7), grantedEpoch: Epoch(9))))
        commands.append(.release(ReleaseVMCommand(vm: testVM, epoch: Epoch(7))))
        for command in commands {
            let bytes: [UInt8] = try WireCommand(command, id: freshCommand()).serializedBytes()
            #expect(try HostCommand(reading: try WireCommand(serializedBytes: bytes)) == command)
        }
    }

    private func landing(_ boot: BootFiles) -> MigrationLanding {
        MigrationLanding(
            address: "10.0.0.12", port: 65535, domainType: "kvm", boot: boot, consoleLog: "/c", socketDirectory: "/s")
    }

    @Test func `every outcome survives the wire`() throws {
        let fault = Fault(.conflict, .staleEpoch, "Too old.", hint: "None.", field: "epoch")
        var outcomes = CommandResult.Effect.allCases.map { effect in
            CommandOutcome.done(
                CommandResult(
                    effect: effect, sequence: 9, landing: effect == .prepared ? landing(.disk("/d")) : nil))
        }
        outcomes += [.rejected(fault), .failed(Fault(.bug, .internalError, "Oh."))]
        #expect(throws: UnreadableMessage.self) {
            try CommandOutcome(reading: WireOutcome(.done(CommandResult(effect: .prepared, sequence: 9))))
        }
        for outcome in outcomes { #expect(try CommandOutcome(reading: WireOutcome(outcome)) == outcome) }
    }

    @Test func `every domain state survives the wire`() throws {
        let states = [DomainState.running, .paused, .starting, .moving] + StopCause.allCases.map(DomainState.gone)
        for state in states { #expect(try DomainState(reading: WireDomainState(state)) == state) }
        let inventory = Inventory(
            bootID: "b", libvirtAnswered: false,
            domains: states.map { ObservedDomain(vm: testVM, epoch: $0 == .paused ? nil : Epoch(0), state: $0) },
            busy: [testVM], sequence: 3)
        #expect(try Inventory(reading: WireInventory(inventory)) == inventory)
    }

    @Test func `holdings survive the wire, and one bad entry spoils them all`() throws {
        #expect(try HostHoldings(reading: WireHoldings(testHoldings)) == testHoldings)
        func refused(_ change: (inout WireHoldings) -> Void) -> String? {
            var wire = WireHoldings(testHoldings)
            change(&wire)
            do {
                _ = try HostHoldings(reading: wire)
                return nil
            } catch {
                return error.what
            }
        }
        #expect(refused { $0.files[0].kind = .UNRECOGNIZED(9) } == "file kind 9")
        #expect(refused { $0.files[0].kind = .unspecified } == "file kind 0")
        #expect(refused { $0.files[1].bytes = -1 } == "a file of -1 bytes")
        #expect(refused { $0.domains[0].seen.vm = "x" } == "a domain's VM is no lower-case UUID")
        #expect(refused { $0.domains[0].cpus = 0 } == "a domain with 0 CPUs and 512 MiB")
        #expect(refused { $0.epochs[0].epoch = -2 } == "epoch -2")
        #expect(refused { $0.pool = "" } == "the pool is no lower-case UUID")
    }

    @Test func `what is unknown is refused and never taken for something else`() throws {
        let stop = HostCommand.stop(
            StopVMCommand(vm: testVM, epoch: Epoch(7), mode: .cold, timeout: .zero, ignoreNotFound: true))
        func refused(_ change: (inout WireStopVMCommand) -> Void) -> String? {
            var wire = WireCommand(stop, id: freshCommand())
            change(&wire.stop)
            do {
                _ = try HostCommand(reading: wire)
                return nil
            } catch {
                return error.fault.code.rawValue + ": " + error.what
            }
        }
        #expect(refused { $0.mode = .UNRECOGNIZED(7) } == "protocol-mismatch: stop mode 7")
        #expect(refused { $0.mode = .unspecified } == "protocol-mismatch: stop mode 0")
        #expect(refused { $0.vm = "web" } == "protocol-mismatch: the command's VM is no lower-case UUID")
        #expect(refused { $0.epoch = -1 } == "protocol-mismatch: epoch -1")
        #expect(refused { $0.timeoutMs = -1 } == "protocol-mismatch: a timeout of -1 ms")
        #expect(throws: UnreadableMessage.self) { try HostCommand(reading: WireCommand()) }
        #expect(throws: UnreadableMessage.self) { try CommandOutcome(reading: WireOutcome()) }
        #expect(throws: UnreadableMessage.self) { try DomainState(reading: WireDomainState()) }
        var gone = WireDomainState(.gone(.failed))
        gone.cause = .UNRECOGNIZED(99)
        #expect(throws: UnreadableMessage("stop cause 99")) { try DomainState(reading: gone) }
        var fault = WireFault(Fault(.bug, .internalError, "Oh."))
        fault.kind = "from-the-future"
        #expect(throws: UnreadableMessage("fault kind 'from-the-future'")) { try Fault(reading: fault) }
    }

    @Test func `a fault travels whole with a failed call`() {
        let fault = Fault(.unauthenticated, .joinTokenInvalid, "Used: »x«.", hint: "Get another.")
        #expect(Fault(sentWith: RPCError(fault)) == fault)
        #expect(Fault(sentWith: RPCError(code: .unavailable, message: "gone")) == nil)
    }
}
