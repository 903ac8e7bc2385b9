// swift-tools-version: 6.2
import PackageDescription

/// One set of rules for every Swift target: see docs/ARCHITECTURE.md, "Build settings".
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

/// Tests may touch raw memory without saying so; everything else holds for them too.
let testing: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "fxmount",
    products: [
        .executable(name: "fxmount", targets: ["fxmount"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        // FXServe and the test services only.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    ],
    targets: [
        // What Swift cannot say: variadic calls, macros, raw system calls.
        .systemLibrary(name: "CLinux"),
        // What swift-crypto does not have: CRC-32C, and the MD5 of several messages at once.
        .target(name: "CChecksum"),
        .systemLibrary(
            name: "CFuse3", pkgConfig: "fuse3",
            providers: [.apt(["libfuse3-dev", "pkg-config"])]),
        .systemLibrary(
            name: "CCurl", pkgConfig: "libcurl",
            providers: [.apt(["libcurl4-openssl-dev", "pkg-config"])]),
        .systemLibrary(
            name: "CExpat", pkgConfig: "expat",
            providers: [.apt(["libexpat1-dev", "pkg-config"])]),

        // Descriptors, names as bytes, byte counts, the monitor, threads.
        .target(
            name: "FXSystem",
            dependencies: [
                "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // Aliases for local directories, the no-delete policy, drafts and versions.
        .target(
            name: "FXMapping",
            dependencies: [
                "FXSystem",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // Sessions: backends, spool, journal, transfer engine.
        .target(
            name: "FXRemote",
            dependencies: [
                "CChecksum", "CCurl", "CExpat", "FXSystem",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // The kernel side: libfuse, the node tree, passthrough.
        .target(
            name: "FXFuse",
            dependencies: [
                "CFuse3", "CLinux", "FXSystem", "FXMapping", "FXRemote",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // The File Exchange API over REST; the one module below the command line that may wait by `await`.
        .target(
            name: "FXServe",
            dependencies: [
                "FXSystem", "FXMapping",
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        // The command line and the wiring.
        .executableTarget(
            name: "fxmount",
            dependencies: [
                "CLinux", "FXSystem", "FXMapping", "FXRemote", "FXFuse", "FXServe",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "TOMLKit", package: "TOMLKit"),
            ],
            swiftSettings: strict),
        // One module each, through its public and internal API.
        .testTarget(
            name: "FXSystemTests",
            dependencies: [
                "FXSystem", "CLinux",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: testing),
        .testTarget(
            name: "FXMappingTests",
            dependencies: [
                "FXMapping", "FXSystem",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: testing),
        .testTarget(
            name: "FXRemoteTests",
            dependencies: [
                "CChecksum", "FXRemote", "FXSystem",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: testing),
        .testTarget(
            name: "FXFuseTests",
            dependencies: [
                "CFuse3", "FXFuse", "FXMapping", "FXRemote", "FXSystem",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: testing),
        .testTarget(
            name: "FXServeTests",
            dependencies: [
                "FXServe", "FXMapping", "FXSystem", "CSyscalls", "ServiceFixtures", "fxmount",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            exclude: ["Support/browser.py"], swiftSettings: testing),
        .testTarget(
            name: "fxmountTests",
            dependencies: [
                "CLinux", "fxmount", "FXMapping", "FXRemote", "FXServe", "FXSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: testing),

        // Servers that stand for services which cannot be had here, and a proxy that makes any service fail by script.
        .target(
            name: "TestServices",
            dependencies: [
                "CExpat", "FXSystem",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Tests/TestServices", exclude: ["README.md"], swiftSettings: testing),
        // The same as a process of its own, for tests and for work by hand: see scripts/services.
        .executableTarget(
            name: "test-services",
            dependencies: [
                "TestServices", "FXSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/ServiceRunner", swiftSettings: testing),
        // Starts, steers and looks into the test services and SeaweedFS; for every test target that needs a service.
        .target(
            name: "ServiceFixtures",
            dependencies: [
                "CSyscalls", "FXSystem",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            path: "Tests/ServiceFixtures", swiftSettings: testing),
        // Backends against real HTTP: the test services and SeaweedFS, with faults in between.
        .testTarget(
            name: "ServiceTests",
            dependencies: [
                "FXRemote", "FXSystem", "ServiceFixtures", "TestServices", "test-services",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: testing),

        // The system calls of the black-box tests, each answering its result or minus errno.
        .target(name: "CSyscalls", path: "Tests/CSyscalls"),
        // One of the processes of the stress test.
        .executableTarget(name: "stress-worker", path: "Tests/StressWorker"),
        // The built program on real mounts: see Tests/MountTests/Support.
        .testTarget(
            name: "MountTests",
            dependencies: [
                "CSyscalls", "FXSystem", "fxmount", "stress-worker", "ServiceFixtures", "test-services",
            ],
            swiftSettings: testing),
    ],
    swiftLanguageModes: [.v6]
)
