import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// What was read from a service stays on this machine's disk (R8 to R13 of docs/SEMANTICS.md).
    @Suite("The cache of what was read") struct NetworkCacheTests {
        /// A mount whose file is at the service, with nothing of it in the spool.
        private func withCache(
            _ bytes: [UInt8], size: String = "64MiB", _ body: (NetworkMount, String) throws -> Void
        ) throws {
            var setup = NetworkSetup(.s3, "listing_ttl = \"100ms\"")
            setup.configuration = "[cache]\nsize = \"\(size)\""
            var held: String?
            defer { if let held { Scratch.remove(held) } }
            try withNetworkMount(setup) { network in
                held = try directory(network)
                let session = try network.makeSession()
                let plain = "\(network.mounted.base)/plain"
                try Sys.write(plain, bytes)
                try run(["cp", plain, "\(session)/f"], seconds: 60).expect(0)
                try again(network)
                try body(network, "\(session)/f")
            }
        }

        private func again(_ network: NetworkMount) throws {
            try network.mounted.stop()
            try network.mounted.start()
        }

        private func noise(_ count: Int) -> [UInt8] {
            var random = SeededRandom.forTest("cache")
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count + 8)
            while bytes.count < count { withUnsafeBytes(of: random.next()) { bytes += $0 } }
            return Array(bytes.prefix(count))
        }

        /// How many requests asked for bytes of the file while `body` ran.
        private func requests(_ network: NetworkMount, _ body: () throws -> Void) throws -> Int {
            try network.place.proxy.reset()
            try body()
            return try network.place.proxy.finishedLog().count {
                $0.method == "GET" && $0.target.split(separator: "?")[0].hasSuffix("/s/f")
            }
        }

        private func reading(_ network: NetworkMount, _ file: String, _ expected: [UInt8]) throws -> Int {
            var got: [UInt8] = []
            let count = try requests(network) { got = try Sys.read(file) }
            #expect(got == expected)
            return count
        }

        /// Where the cache of this mount is.
        private func directory(_ network: NetworkMount) throws -> String {
            let base = geteuid() == 0 ? "/var/cache/fxmount" : "\(Scratch.root)/.cache/fxmount"
            let writer = String(decoding: try Sys.read("\(network.mounted.state)/writer"), as: UTF8.self)
            return "\(base)/read-\(writer.split(separator: "\n")[0])"
        }

        private func files(_ network: NetworkMount) throws -> [String] {
            let base = try directory(network)
            return try Sys.files(below: base).map { "\(base)/\($0)" }
        }

        @Test("The next mount reads it from the disk, also at random places, and status tells how much")
        func nextMount() throws {
            let bytes = noise(20_000_003)
            try withCache(bytes) { network, file in
                #expect(try reading(network, file, bytes) > 0)
                try again(network)
                let asked = try requests(network) {
                    var random = SeededRandom.forTest("ranges")
                    let descriptor = try Sys.open(file, O_RDONLY)
                    for _ in 0..<40 {
                        let start = Int(random.next() % UInt64(bytes.count))
                        let end = min(bytes.count, start + 1 + Int(random.next() % 300_000))
                        #expect(try descriptor.read(end - start, at: start) == Array(bytes[start..<end]))
                    }
                    #expect(try Sys.read(file) == bytes)
                }
                #expect(asked == 0)
                let control = "\(network.mounted.mountpoint)/.fxmount"
                let metrics = String(decoding: try Sys.read("\(control)/metrics"), as: UTF8.self)
                #expect(metrics.contains("\nfxmount_cache_missed_bytes_total 0\n"))
                #expect(!metrics.contains("\nfxmount_cache_hit_bytes_total 0\n"))
            }
        }

        @Test("A cache that was damaged is noticed, and one that was removed costs nothing but speed")
        func damaged() throws {
            let bytes = noise(5_000_003)
            try withCache(bytes) { network, file in
                #expect(try Sys.read(file) == bytes)
                try network.mounted.stop()
                let held = try files(network)
                #expect(held.count == 1)
                for path in held {
                    let descriptor = try Sys.open(path, O_RDWR)
                    #expect(descriptor.write([UInt8](repeating: 0xaa, count: 10_000), at: 3_000_000) == .ok)
                }
                try network.mounted.start()
                #expect((1...3).contains(try reading(network, file, bytes)))
                try again(network)
                #expect(try reading(network, file, bytes) == 0)
                try network.mounted.stop()
                Scratch.remove(try directory(network))
                try network.mounted.start()
                #expect(try Sys.read(file) == bytes)
            }
        }

        @Test("Another content at the service is read as it is")
        func changed() throws {
            let bytes = noise(3_000_000)
            try withCache(bytes) { network, file in
                #expect(try Sys.read(file) == bytes)
                let other = Array(bytes.reversed())
                // By another machine.
                let place = try #require(network.place as? S3Place)
                try place.put("s/f", other)
                #expect(waitUntil(seconds: 20) { (try? Sys.read(file)) == other })
                try again(network)
                #expect(try reading(network, file, other) == 0)
                // What the old one had is gone.
                #expect(try files(network).count == 1)
            }
        }
    }
}
