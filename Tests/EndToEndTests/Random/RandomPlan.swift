import APIContract
import Foundation

/// What is done to the VMs and the hosts, as a seed has it. The same seed draws the same plan.
struct RandomPlan {
    /// One wish of a user, who looks first: a wish that makes no sense for what is seen of the VM gives way to one that
    /// does. One who is stubborn does not look.
    struct Wish: Sendable {
        var kind: Kind
        let vm: Int
        /// The host for what names one.
        let host: Int
        let mode: String
        let isDeferrable: Bool
        let isStubborn: Bool
        /// How long the guest may take, in seconds.
        let patience: Int
        /// How long the user waits for the end, in seconds, before the next wish.
        let wait: Int
        /// For a VM that is made anew.
        let image: Int
    }

    enum Kind: String, CaseIterable, Sendable {
        case start, startThere, stop, pause, resume, reset, reboot, migrate, migrateThere, migrateCold, cancel, delete
        case triggerGC

        var weight: Int {
            switch self {
            case .start: 12
            case .startThere: 8
            case .stop: 20
            case .pause, .resume: 6
            case .reset, .reboot: 4
            case .migrate: 6
            case .migrateThere: 14
            case .migrateCold: 5
            case .cancel: 4
            case .delete: 6
            case .triggerGC: 2
            }
        }
    }

    /// One thing that breaks, and is mended after `duration` seconds.
    struct Fault: Sendable {
        let kind: FaultKind
        let host: Int
        let duration: Double
        /// How many wishes are accepted before it.
        let position: Int
        /// Which of the domains on the host.
        let domain: Int
    }

    enum FaultKind: String, CaseIterable, Sendable {
        case cut, killAgent, stopAgent, killLibvirtd, freezeLibvirtd, killQEMU, destroyByHand, powerOff,
            powerOffAndFence
        case killServer, stopServer

        var weight: Int {
            switch self {
            case .cut: 8
            case .killAgent: 4
            case .stopAgent: 2
            case .killLibvirtd: 3
            case .freezeLibvirtd: 2
            case .killQEMU, .destroyByHand: 4
            case .powerOff, .powerOffAndFence: 1
            case .killServer: 3
            case .stopServer: 1
            }
        }
    }

    static let vmCount = 12
    static let hostCount = 3
    /// The words that each image adds to the guest's kernel command line.
    static let images = ["", "", "", "roost.poweroff=15", "roost.ignore-power-button"]
    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(state: seed) }

    mutating func wish() -> Wish {
        Wish(
            kind: pick(Kind.allCases) { $0.weight }, vm: below(Self.vmCount), host: below(Self.hostCount),
            mode: ["grace", "cold", "cold", "force"][below(4)], isDeferrable: below(2) == 0, isStubborn: below(8) == 0,
            patience: 1 + below(4), wait: below(3) == 0 ? 0 : 3, image: below(Self.images.count))
    }

    mutating func fault(within wishes: Int) -> Fault {
        Fault(
            kind: pick(FaultKind.allCases) { $0.weight }, host: below(Self.hostCount),
            duration: Double(2 + below(30)) / 10, position: below(wishes), domain: below(100))
    }

    private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    private mutating func pick<Choice>(_ choices: [Choice], _ weight: (Choice) -> Int) -> Choice {
        var left = below(choices.reduce(0) { $0 + weight($1) })
        for choice in choices {
            left -= weight(choice)
            if left < 0 { return choice }
        }
        return choices[0]
    }
}

extension RandomPlan.Wish {
    /// What a user who sees the VM in `state` asks for.
    func sensible(in state: String?) -> RandomPlan.Kind {
        guard !isStubborn, let state else { return kind }
        switch (state, kind) {
        case (_, .delete), (_, .cancel), (_, .triggerGC): return kind
        case ("created", _), ("stopped", _), ("crashed", _):
            return kind == .start || host == 0 ? .start : .startThere
        case ("paused", .pause), ("paused", .start), ("paused", .startThere), ("paused", .reset), ("paused", .reboot):
            return .resume
        case ("running", .start), ("running", .startThere), ("running", .resume): return .migrateThere
        default: return kind
        }
    }
}

/// A sequence of numbers that a seed decides.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
