import ArgumentParser

@main
struct Measure: AsyncParsableCommand {
    mutating func run() async throws {}
}
