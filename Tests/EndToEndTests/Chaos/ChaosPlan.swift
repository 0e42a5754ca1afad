/// What happens to three servers, their database and eight hosts, as a seed has it. The same seed draws the same plan.
struct ChaosPlan {
    /// One thing that breaks and is mended `duration` seconds later, while the next rounds go on.
    struct Round: Sendable {
        let kind: Kind
        /// The server or the host that is drawn; where it is broken still, the next whole one takes its place.
        let target: Int
        let duration: Double
    }

    enum Kind: String, CaseIterable, Sendable {
        case killNode, freezeNode, silenceDatabase, refuseDatabase
        case restartPostgres, crashPostgres
        case silenceAgent, refuseAgent, killAgent, cutHost

        var weight: Int {
            switch self {
            case .killNode, .freezeNode, .silenceDatabase, .refuseDatabase: 4
            case .restartPostgres, .crashPostgres: 2
            case .silenceAgent, .refuseAgent, .killAgent: 3
            case .cutHost: 1
            }
        }
    }

    /// One wish of a user, who looks first.
    struct Wish: Sendable {
        let vm: Int
        let host: Int
        /// The server that is asked first, counted from 0.
        let server: Int
        let isDelete: Bool
        let isDeferrable: Bool
        let isTrigger: Bool
        /// How long the user waits for the end, in seconds.
        let wait: Int
    }

    static let servers = 3
    static let simulatedHosts = 6
    /// Those of the simulated hosts whose agents know a load balancer; the others know a list of the servers.
    static let balancedHosts = 2
    static let realHosts = 2
    static let vms = 18
    /// In seconds.
    static let lease = 3

    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(state: seed) }

    mutating func round() -> Round {
        let kind = pick()
        // One half of them is shorter than the lease, and one is longer.
        let tenths = below(2) == 0 ? 1 + below(20) : Self.lease * 10 + 5 + below(20)
        return Round(kind: kind, target: below(60), duration: Double(tenths) / 10)
    }

    mutating func wish() -> Wish {
        Wish(
            vm: below(Self.vms), host: below(Self.simulatedHosts), server: below(Self.servers),
            isDelete: below(12) == 0,
            isDeferrable: below(3) > 0, isTrigger: below(20) == 0, wait: below(3))
    }

    private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    private mutating func pick() -> Kind {
        var left = below(Kind.allCases.reduce(0) { $0 + $1.weight })
        for kind in Kind.allCases {
            left -= kind.weight
            if left < 0 { return kind }
        }
        return .killNode
    }
}
