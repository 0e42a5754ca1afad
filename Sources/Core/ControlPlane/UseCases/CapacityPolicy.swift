/// How much of its hosts Roost hands out.
package struct CapacityPolicy: Hashable, Sendable {
    /// Virtual CPUs for each of a host's CPUs.
    package var cpuRatio: Ratio
    /// Guest memory for each MiB of a host's memory, less the reserve.
    package var memoryRatio: Ratio
    /// MiB of each host that guests never get.
    package var memoryReserve: Int

    package static let cpuRatioLimits = Ratio(thousandths: 100)...Ratio(thousandths: 64_000)
    package static let memoryRatioLimits = Ratio(thousandths: 100)...Ratio(thousandths: 16_000)
    package static let memoryReserveLimits = 0...16_777_216  // MiB

    package init(
        cpuRatio: Ratio = Ratio(thousandths: 4000), memoryRatio: Ratio = Ratio(thousandths: 1000),
        memoryReserve: Int = 0
    ) {
        self.cpuRatio = cpuRatio
        self.memoryRatio = memoryRatio
        self.memoryReserve = memoryReserve
    }

    /// What placements on a host of this capacity may hold together.
    package func allocatable(of capacity: Allocation) -> Allocation {
        Allocation(
            cpus: cpuRatio.times(capacity.cpus), memory: memoryRatio.times(max(capacity.memory - memoryReserve, 0)))
    }
}

/// A decimal with three places, so that what is counted with it is exact.
package struct Ratio: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let thousandths: Int

    package init(thousandths: Int) { self.thousandths = thousandths }

    /// Reads `4`, `1.5` or `0.125`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let digits = parts.count == 2 ? parts[1] : "0"
        let isDecimal = { (part: Substring) in
            !part.isEmpty && part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        }
        guard isDecimal(parts[0]), isDecimal(digits), parts[0].utf8.count <= 9, digits.utf8.count <= 3,
            let whole = Int(parts[0]), let places = Int(digits + String(repeating: "0", count: 3 - digits.utf8.count))
        else { return nil }
        thousandths = whole * 1000 + places
    }

    /// `amount` so many times, rounded down; the largest number where that is larger.
    package func times(_ amount: Int) -> Int {
        let (product, isOver) = amount.multipliedReportingOverflow(by: thousandths)
        return isOver ? .max : product / 1000
    }

    package static func < (left: Ratio, right: Ratio) -> Bool { left.thousandths < right.thousandths }

    package var description: String {
        let digits = String(thousandths % 1000)
        let places = (String(repeating: "0", count: 3 - digits.count) + digits)
        let shown = places.reversed().drop { $0 == "0" }.reversed()
        return "\(thousandths / 1000)" + (shown.isEmpty ? "" : "." + String(shown))
    }
}
