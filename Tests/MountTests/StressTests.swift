import CSyscalls
import Glibc
import Testing

extension MountTests {
    @Suite("Stress") struct StressTests {
        @Test("32 processes at once: every byte is the one its writer wrote", arguments: [true, false])
        func manyProcesses(passthrough: Bool) throws {
            let seconds = Environment.number("FXMOUNT_STRESS_SECONDS", default: passthrough ? 60 : 15)
            let random = SeededRandom.forTest("manyProcesses passthrough \(passthrough)")
            let type = TypeSpecification(name: "data", place: .memory)
            try withMount(MountSetup(types: [type], passthrough: passthrough, seconds: Double(seconds) + 180)) {
                mounted in
                #expect(Sys.mkdir(mounted.session("stress")) == .ok)
                Sys.mkdir("\(mounted.alias())/shared")
                let workers = try (0..<32).map { index in
                    try Child([
                        Binary.beside("stress-worker"), mounted.alias(), "\(mounted.alias())/shared", "\(index)",
                        "\(seconds)", "\(random.seed)",
                    ])
                }
                // Meanwhile somebody sends files and somebody else looks at the state.
                var sent = 0
                while workers.contains(where: \.isRunning) && sent < 2000 {
                    try Sys.write("\(mounted.session("stress"))/f\(sent)", "content \(sent)")
                    _ = try Sys.text("\(mounted.control)/status.json")
                    sent += 1
                    cs_sleep_ms(20)
                }
                var operations = 0
                for worker in workers {
                    let finished = worker.finish(seconds: Double(seconds) + 60)
                    #expect(finished.code == 0, "\(finished)")
                    operations += Int(finished.output.split(separator: "\n").first ?? "") ?? 0
                }
                print("manyProcesses: \(operations) operations, \(sent) files sent")
                try mounted.fxmount(["session", "complete", mounted.session("stress")], seconds: 60).expect(ExitCode.ok)
                for index in 0..<sent {
                    #expect((try? Sys.text("\(mounted.stored("stress"))/f\(index)")) == "content \(index)")
                }
                let log = try Sys.text("\(mounted.alias())/shared/log").split(
                    separator: "\n", omittingEmptySubsequences: false)
                #expect(log.dropLast().allSatisfy { $0.utf8.count == 19 }, "appended lines are torn")
                #expect(try Kept.debris(mounted.backing("data")) == [])
                #expect(Processes.residentKiB(of: mounted.process) < 400 * 1024, "resident memory after the stress")
            }
        }
    }

    /// A caller blocked in the mount dies when it is killed, and a handled signal breaks nothing (DESIGN 4.4).
    @Suite("Interrupts", .root, .enabled(if: FaultInjector.isAvailable, "needs strace")) struct InterruptTests {
        /// A session on a daemon whose fsyncs take long.
        private func withSlowSeal(_ body: (Mounted, String) throws -> Void) throws {
            try withMount(MountSetup(types: [], seconds: 90)) { mounted in
                let session = mounted.session("i")
                #expect(Sys.mkdir(session) == .ok)
                let injector = try FaultInjector(
                    daemon: mounted.process, calls: "fsync,fdatasync", injection: "delay_enter=3000000")
                defer { injector.detach() }
                try body(mounted, session)
            }
        }

        @Test("More calls that hang in the disk than there are workers keep nobody else waiting")
        func hangingCalls() throws {
            let setup = MountSetup(
                types: [TypeSpecification(name: "data", policy: .keepNames)], configuration: "[mount]\nworkers = 2\n")
            try withMount(setup) { mounted in
                let injector = try FaultInjector(
                    daemon: mounted.process, calls: "fsync", injection: "delay_enter=10000000")
                let writers = try (0..<6).map { index in
                    try Child(["sh", "-c", "printf bytes > f\(index) && sync f\(index)"], directory: mounted.alias())
                }
                defer { for writer in writers { writer.killAll() } }
                let areThere = waitUntil(seconds: 8) {
                    (0..<6).allSatisfy { (try? Sys.text("\(mounted.backing("data"))/f\($0)")) == "bytes" }
                }
                #expect(areThere)
                for index in 0..<50 {
                    let isMissing = !Sys.exists("\(mounted.alias())/missing\(index)")
                    #expect(isMissing)
                    try Sys.write("\(mounted.alias())/new\(index)", "content")
                }
                let areRunning = writers.allSatisfy(\.isRunning)
                #expect(areRunning, "the others waited for them")
                injector.detach()
                for writer in writers {
                    let code = writer.finish(seconds: 40).code
                    #expect(code == 0)
                }
            }
        }

        @Test("kill -9 of a caller blocked in a flush ends it within a second; the mount serves on")
        func fatalSignal() throws {
            try withSlowSeal { mounted, session in
                let writer = try Child(["/bin/sh", "-c", "echo bytes > '\(session)/f'"])
                #expect(waitUntil(seconds: 5) { Sys.exists("\(session)/f") })
                #expect(waitUntil(seconds: 5) { isBlocked(writer.process) }, "the writer is not blocked")
                let began = cs_now_ms()
                writer.signal(SIGKILL)
                let code = writer.code(waitingMilliseconds: 2500)
                #expect(code == 137, "still there after \(cs_now_ms() - began) ms")
                #expect(Sys.exists(session))
                #expect(try Sys.text("\(mounted.control)/status.json").count > 2)
            }
        }

        /// Sleeping inside a system call of the FUSE kernel side.
        private func isBlocked(_ process: Int32) -> Bool {
            let state = (try? Sys.text("/proc/\(process)/stat"))?.split(separator: ")").last?.split(separator: " ")
                .first
            let call = (try? Sys.text("/proc/\(process)/syscall"))?.split(separator: " ").first ?? ""
            return (state == "D" || state == "S") && (call == "3" || call == "74" || call == "33" || call == "231")
        }

        @Test("A handled signal does not break a flush")
        func handledSignal() throws {
            try withSlowSeal { mounted, session in
                let script = "trap 'echo signalled' USR1; printf whole > '\(session)/f' && echo written"
                let writer = try Child(["/bin/sh", "-c", script])
                #expect(waitUntil(seconds: 5) { Sys.exists("\(session)/f") })
                for _ in 0..<20 {
                    writer.signal(SIGUSR1)
                    cs_sleep_ms(50)
                }
                let finished = writer.finish(seconds: 40)
                demand(finished.code == 0 && finished.output.contains("written"), "\(finished)")
                #expect(try Sys.text("\(session)/f") == "whole")
            }
        }
    }
}
