// swift-tools-version: 6.2
import PackageDescription

/// Settings every Roost target shares: Swift 6 language mode (strict concurrency is part of it), and `internal`
/// imports unless a file says `public import`, so that a dependency never leaks through a module by accident.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
]

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let grpc: Target.Dependency = .product(name: "GRPCCore", package: "grpc-swift-2")
let grpcTransport: Target.Dependency = .product(
    name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")

// Listed bottom-up: a target depends only on what stands above it. `ArchitectureTests` holds each file to this.
let package = Package(
    name: "roost",
    products: [
        .executable(name: "roost", targets: ["roost"]),
        .executable(name: "roostd", targets: ["roostd"]),
        .executable(name: "roost-agent", targets: ["roost-agent"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: [.defaults, "YAML"]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        // Core: no I/O, no Foundation, no NIO; clock, ids and randomness are passed in.
        .target(name: "Domain", path: "Sources/Core/Domain", swiftSettings: strict),
        .target(
            name: "ControlPlane", dependencies: ["Domain", log], path: "Sources/Core/ControlPlane",
            swiftSettings: strict),
        .target(
            name: "HostAgent", dependencies: ["Domain", log], path: "Sources/Core/HostAgent", swiftSettings: strict),

        // Contract: what crosses the wire.
        .target(name: "APIContract", path: "Sources/Contract/APIContract", swiftSettings: strict),
        .target(
            name: "AgentContract",
            dependencies: [
                "Domain", grpc, protobuf, .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
            ],
            path: "Sources/Contract/AgentContract", exclude: ["agent.proto", "relay.proto", "generate.sh"],
            swiftSettings: strict),

        // Adapters: one port each, named for what they implement.
        .target(
            name: "Identity",
            dependencies: [x509, crypto, .product(name: "SwiftASN1", package: "swift-asn1")],
            path: "Sources/Adapters/Identity", swiftSettings: strict),
        .systemLibrary(
            name: "CLibpq", path: "Sources/Adapters/SQLStore/Postgres/CLibpq", pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"])]),
        .target(
            name: "SQLStore",
            dependencies: ["Domain", "ControlPlane", "CLibpq", log, .product(name: "GRDB", package: "GRDB.swift")],
            path: "Sources/Adapters/SQLStore", exclude: ["Postgres/CLibpq"], swiftSettings: strict),
        .target(
            name: "ImageStore", dependencies: ["Domain", "ControlPlane", crypto, subprocess],
            path: "Sources/Adapters/ImageStore", swiftSettings: strict),
        .systemLibrary(
            name: "CLibvirt", path: "Sources/Adapters/LibvirtHypervisor/CLibvirt", pkgConfig: "libvirt",
            providers: [.apt(["libvirt-dev"])]),
        .target(
            name: "LibvirtHypervisor", dependencies: ["Domain", "HostAgent", "CLibvirt", log, subprocess],
            path: "Sources/Adapters/LibvirtHypervisor", exclude: ["CLibvirt"], swiftSettings: strict),
        .target(
            name: "AgentDisk", dependencies: ["Domain", "HostAgent", log, crypto, subprocess],
            path: "Sources/Adapters/AgentDisk", swiftSettings: strict),
        .target(
            name: "HostGateway",
            dependencies: [
                "Domain", "ControlPlane", "AgentContract", "Identity", log, grpc, grpcTransport, x509, lifecycle,
            ],
            path: "Sources/Adapters/HostGateway", swiftSettings: strict),
        .target(
            name: "ServerLink",
            dependencies: [
                "Domain", "HostAgent", "AgentContract", "Identity", log, grpc, grpcTransport, x509, lifecycle,
            ],
            path: "Sources/Adapters/ServerLink", swiftSettings: strict),
        .target(
            name: "MigrationTunnel",
            dependencies: [
                "Domain", "HostAgent", "Identity", log, x509,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Sources/Adapters/MigrationTunnel", swiftSettings: strict),
        .target(
            name: "APIServer",
            dependencies: [
                "Domain", "ControlPlane", "APIContract", log, crypto, lifecycle,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Sources/Adapters/APIServer", swiftSettings: strict),
        .target(
            name: "APIClient",
            dependencies: [
                "APIContract", .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Sources/Adapters/APIClient", swiftSettings: strict),

        .target(
            name: "Platform", dependencies: ["Domain", log], path: "Sources/Adapters/Platform", swiftSettings: strict),

        // The production code through faults, in virtual time, from a seed.
        .target(
            name: "Simulation", dependencies: ["Domain", "ControlPlane", "HostAgent", "SQLStore", log],
            path: "Sources/Simulation", swiftSettings: strict),

        // Executables: composition only.
        .executableTarget(
            name: "roost",
            dependencies: ["APIContract", "APIClient", arguments, .product(name: "Yams", package: "Yams")],
            path: "Sources/Executables/roost", swiftSettings: strict),
        .executableTarget(
            name: "roostd",
            dependencies: [
                "Domain", "ControlPlane", "APIContract", "SQLStore", "ImageStore", "HostGateway", "APIServer",
                "Identity", "Platform", crypto, arguments, lifecycle, log,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Sources/Executables/roostd", swiftSettings: strict),
        .executableTarget(
            name: "roost-agent",
            dependencies: [
                "Domain", "HostAgent", "LibvirtHypervisor", "AgentDisk", "ServerLink", "MigrationTunnel", "Identity",
                "Platform", arguments, lifecycle, log, .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Executables/roost-agent", swiftSettings: strict),

        // Measures for `make bench`; not a product.
        .executableTarget(
            name: "roost-measure",
            dependencies: [
                "Domain", "ControlPlane", "APIContract", "SQLStore", "APIClient", "Platform", arguments, log,
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            path: "Benchmarks/Measure", swiftSettings: strict),

        // Runs simulations for `make sim`; not a product.
        .executableTarget(
            name: "roost-sim", dependencies: ["Simulation", arguments], path: "Benchmarks/Simulate",
            swiftSettings: strict),

        // Tests.
        .testTarget(name: "DomainTests", dependencies: ["Domain"], exclude: ["Golden"], swiftSettings: strict),
        .testTarget(name: "ArchitectureTests", swiftSettings: strict),
        .target(
            name: "StoreConformance", dependencies: ["Domain", "ControlPlane"], path: "Tests/StoreConformance",
            swiftSettings: strict),
        .target(name: "PostgresBench", path: "Tests/PostgresBench", swiftSettings: strict),
        .testTarget(
            name: "PostgresStoreTests",
            dependencies: ["StoreConformance", "PostgresBench", "Domain", "ControlPlane", "SQLStore", log],
            swiftSettings: strict),
        .testTarget(
            name: "SQLiteStoreTests",
            dependencies: [
                "StoreConformance", "Domain", "ControlPlane", "SQLStore", log,
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            exclude: ["Golden", "Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "ControlPlaneTests",
            dependencies: ["Domain", "ControlPlane", "SQLStore", "PostgresBench", "Platform", log],
            swiftSettings: strict),
        .testTarget(name: "HostAgentTests", dependencies: ["Domain", "HostAgent"], swiftSettings: strict),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Domain", "ControlPlane", "HostAgent", "AgentContract", "Identity", "HostGateway", "ServerLink",
                "SQLStore", "Platform", log, lifecycle, grpc, grpcTransport, x509,
            ],
            swiftSettings: strict),
        .testTarget(name: "SimulationTests", swiftSettings: strict),
        .testTarget(
            name: "LibvirtTests", dependencies: ["Domain", "HostAgent", "LibvirtHypervisor"], swiftSettings: strict),
        .testTarget(
            name: "AgentDiskTests", dependencies: ["Domain", "HostAgent", "AgentDisk", "Platform"],
            swiftSettings: strict),
        .testTarget(
            name: "APIServerTests",
            dependencies: [
                "Domain", "ControlPlane", "APIContract", "APIServer", "SQLStore", "ImageStore", "Platform",
                .product(name: "HummingbirdTesting", package: "hummingbird"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ClientTests", dependencies: ["APIContract", "APIClient", "roost", arguments], swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "APIContract", "PostgresBench", "Domain", "HostAgent", "AgentDisk", "ServerLink", "Identity",
                "Platform", log,
            ],
            swiftSettings: strict),
    ]
)
