/// Durations of the same thing, measured again and again.
struct Samples {
    private var sorted: [Double] = []  // milliseconds

    var count: Int { sorted.count }

    mutating func add(_ duration: Duration) {
        sorted.append(duration.milliseconds)
        sorted.sort()
    }

    /// Milliseconds. NaN when there are none.
    var median: Double {
        guard !sorted.isEmpty else { return .nan }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    /// The nearest rank: of 50 samples the 99th percentile is the greatest.
    func percentile(_ percent: Double) -> Double {
        guard !sorted.isEmpty else { return .nan }
        let rank = Int((percent / 100 * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }

    var least: Double { percentile(0) }
    var greatest: Double { percentile(100) }

    /// The spread, for people.
    var range: String { "\(least.tenths) to \(greatest.tenths)" }
}

extension Duration {
    var milliseconds: Double {
        Double(components.seconds) * 1000 + Double(components.attoseconds) / 1_000_000_000_000_000
    }

    var seconds: Double { milliseconds / 1000 }
}

extension Double {
    /// With one digit after the point.
    var tenths: String {
        guard isFinite else { return "none" }
        let number = Int((abs(self) * 10).rounded())
        return "\(self < 0 ? "-" : "")\(number / 10).\(number % 10)"
    }
}
