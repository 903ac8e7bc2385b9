import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Synchronization
import Testing

extension MountTests {
    /// Reading committed files of services through a mount, by everyday means.
    @Suite("Reading from services") struct NetworkReadingTests {
        /// A mount that has not written the file itself: everything comes from the service.
        private func withCold(
            _ kind: NetworkKind, _ bytes: [UInt8], _ keys: [String] = [],
            _ body: (NetworkMount, String) throws -> Void
        ) throws {
            var setup = NetworkSetup(kind)
            setup.keys = keys
            try withNetworkMount(setup) { network in
                let session = try network.makeSession()
                let plain = "\(network.mounted.base)/plain"
                try Sys.write(plain, bytes)
                try run(["cp", plain, "\(session)/f.bin"], seconds: 60).expect(0)
                if !kind.readsOpenSessions {
                    try network.mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
                    #expect(waitUntil(seconds: 20) { network.isProcessed(session) })
                }
                try network.mounted.stop()
                try network.mounted.start()
                try body(network, "\(session)/f.bin")
            }
        }

        private func noise(_ count: Int, _ name: String) -> [UInt8] {
            var random = SeededRandom.forTest(name)
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count + 8)
            while bytes.count < count { withUnsafeBytes(of: random.next()) { bytes += $0 } }
            return Array(bytes.prefix(count))
        }

        @Test(
            "cmp, cp, dd past the page cache, tail and md5sum see the bytes of the file",
            arguments: NetworkKind.allCases.filter(\.readsBack))
        func tools(kind: NetworkKind) throws {
            let bytes = noise(kind == .s3 ? 40_000_003 : 5_000_003, "reading")
            try withCold(kind, bytes) { network, file in
                let base = network.mounted.base
                try sh(
                    """
                    cmp plain '\(file)'
                    cp '\(file)' copied && cmp plain copied
                    dd if='\(file)' of=direct bs=1M iflag=direct status=none && cmp plain direct
                    dd if='\(file)' of=odd bs=12345 iflag=direct status=none && cmp plain odd
                    tail -c 1000003 plain | cmp - <(tail -c 1000003 '\(file)')
                    [ "$(md5sum <plain)" = "$(md5sum <'\(file)')" ]
                    rm copied direct odd
                    """, in: base, seconds: 100)
                let descriptor = try Sys.open(file, O_RDONLY)
                let address = mmap(nil, bytes.count, PROT_READ, MAP_SHARED, descriptor.number, 0)
                let mapped = UnsafeRawBufferPointer(start: address, count: bytes.count)
                #expect(bytes.withUnsafeBytes { memcmp($0.baseAddress!, mapped.baseAddress!, bytes.count) } == 0)
                munmap(address, bytes.count)
            }
        }

        @Test("32 readers at random places each see the bytes of the file, and the daemon stays small")
        func readers() throws {
            let bytes = noise(64_000_000, "readers")
            try withCold(.s3, bytes) { network, file in
                let wrong = Mutex<[String]>([])
                let left = Monitor(32)
                let seed = UInt64.random(in: 0...(.max))
                for number in 0..<32 {
                    _ = try ServiceThread(name: "test-reader") {
                        defer { left.withLock { $0 -= 1 } }
                        var random = SeededRandom(seed: seed &+ UInt64(number))
                        guard
                            let descriptor = try? Sys.open(file, O_RDONLY | (number % 4 == 0 ? Int32(CS_O_DIRECT) : 0))
                        else {
                            return wrong.withLock { $0.append("open") }
                        }
                        var position = Int(random.next() % UInt64(bytes.count))
                        for _ in 0..<25 {
                            if random.next() % 3 == 0 { position = Int(random.next() % UInt64(bytes.count)) }
                            let count = 1 + Int(random.next() % 400_000)
                            let got = try? descriptor.read(count, at: position)
                            let end = min(position + count, bytes.count)
                            if got != Array(bytes[position..<end]) {
                                wrong.withLock { $0.append("\(count) bytes at \(position)") }
                            }
                            position = end == bytes.count ? 0 : end
                        }
                    }
                }
                #expect(left.wait(until: .after(.seconds(90))) { $0 == 0 ? true : nil } == true)
                #expect(wrong.withLock { $0 } == [], "seed \(seed)")
                #expect(Processes.residentKiB(of: network.mounted.process) < 160 << 10)
            }
        }

        @Test("Opening a file again reads the kernel's pages, until the file has another content")
        func pages() throws {
            try withCold(.s3, noise(3_000_000, "pages"), ["listing_ttl = \"1s\""]) { network, file in
                _ = try Sys.read(file)
                try network.place.proxy.reset()
                let first = try Sys.read(file)
                let gets = {
                    try network.place.proxy.finishedLog().filter { $0.method == "GET" && $0.received > 100_000 }
                }
                #expect(try gets().isEmpty, "the second read asked the service")
                var changed = first
                changed[1_500_000] &+= 1
                let writer = try Sys.open(file, O_RDWR)
                #expect(writer.write([changed[1_500_000]], at: 1_500_000) == .ok)
                #expect(try Sys.read(file) == changed)
                try sh("cat >/dev/null '\(file)'", in: network.mounted.base)
            }
        }

        @Test("tail -f follows a file that is written through the same mount")
        func following() throws {
            try withNetworkMount(NetworkSetup(.s3)) { network in
                let session = try network.makeSession()
                let writer = try Sys.open("\(session)/log", O_WRONLY | O_CREAT)
                #expect(writer.write("one\n") == .ok)
                let tail = try Child(["tail", "-n", "+1", "-s", "0.05", "-f", "\(session)/log"])
                #expect(waitUntil { tail.output == "one\n" })
                #expect(writer.write("two\n") == .ok)
                #expect(waitUntil { tail.output == "one\ntwo\n" })
                tail.killAll()
                _ = tail.code(waitingMilliseconds: 5000)
            }
        }
    }
}
