import Glibc
import SystemPackage
import Testing

@testable import FXSystem

@Suite struct MonitorTests {
    @Test func aConditionThatHoldsIsNotWaitedFor() {
        let monitor = Monitor(7)
        #expect(monitor.wait { $0 == 7 ? $0 : nil } == 7)
        #expect(monitor.wait(until: .now()) { $0 == 7 ? $0 : nil } == 7)
    }

    @Test func aDeadlineEndsTheWaitAndNotBefore() {
        let monitor = Monitor(false)
        let start = ContinuousDeadline.now()
        let deadline = ContinuousDeadline.after(.milliseconds(60))
        #expect(monitor.wait(until: deadline) { $0 ? () : nil } == nil)
        #expect(deadline.hasPassed)
        #expect(start < deadline)
    }

    @Test func everyChangeWakesEveryWaiter() throws {
        let monitor = Monitor((turn: 0, done: 0))
        var threads: [Int] = []
        for index in 0..<8 {
            threads.append(index)
            _ = try ServiceThread(name: "waiter") {
                // Each waits for its turn and hands it on.
                _ = monitor.wait { state -> Void? in
                    guard state.turn == index else { return nil }
                    state.turn += 1
                    state.done += 1
                    return ()
                }
            }
        }
        let all: Void? = monitor.wait(until: .after(.seconds(10))) { $0.done == 8 ? () : nil }
        #expect(all != nil)
    }

    @Test func oneOfManyAlikeIsWokenForEachPieceOfWork() throws {
        let monitor = Monitor((work: 0, done: 0, looks: 0, resting: 0))
        for _ in 0..<8 {
            _ = try ServiceThread(name: "worker") {
                for _ in 0..<100 {
                    _ = monitor.wait(waking: { _ in .nobody }) { state -> Void? in
                        state.looks += 1
                        guard state.work > 0 else { return nil }
                        state.work -= 1
                        return ()
                    }
                    monitor.withLock(waking: { $0.done == 799 ? .all : .nobody }) { $0.done += 1 }
                }
            }
        }
        for _ in 0..<800 { monitor.withLock(waking: { _ in .one }) { $0.work += 1 } }
        #expect(monitor.wait(until: .after(.seconds(60))) { $0.done == 800 ? () : nil } != nil)
        // Each worker looks when it comes and when it is woken, once for each piece of work; eight times that would be
        // the herd.
        #expect(monitor.read { $0.looks } <= 2 * 800 + 80)
    }

    @Test func whoOnlyReadsWakesNobody() throws {
        let monitor = Monitor((looks: 0, isOver: false))
        let thread = try ServiceThread(name: "waiter") {
            _ = monitor.wait { state -> Void? in
                state.looks += 1
                return state.isOver ? () : nil
            }
        }
        while monitor.read({ $0.looks }) == 0 { _ = usleep(1000) }
        for _ in 0..<1000 { _ = monitor.read { $0.looks } }
        monitor.withLock(waking: { _ in .nobody }) { _ in }
        _ = usleep(20_000)
        #expect(monitor.read { $0.looks } == 1)
        monitor.withLock { $0.isOver = true }
        thread.join()
    }

    @Test func changesAreMadeAlone() throws {
        let monitor = Monitor((count: 0, ended: 0))
        for _ in 0..<4 {
            _ = try ServiceThread(name: "counter") {
                for _ in 0..<10_000 { monitor.withLock { $0.count += 1 } }
                monitor.withLock { $0.ended += 1 }
            }
        }
        _ = monitor.wait(until: .after(.seconds(20))) { $0.ended == 4 ? () : nil }
        #expect(monitor.withLock { $0.count } == 40_000)
    }

    @Test func anErrorLeavesTheLockFree() {
        let monitor = Monitor(0)
        #expect(throws: Errno.ioError) {
            try monitor.withLock { (state: inout Int) throws(Errno) in
                state = 1
                throw Errno.ioError
            }
        }
        #expect(monitor.withLock { $0 } == 1)
    }

    @Test func aDeadlineInThePastHasPassed() {
        #expect(ContinuousDeadline.after(.zero).hasPassed)
        #expect(ContinuousDeadline.after(.seconds(-5)).hasPassed)
        #expect(ContinuousDeadline.after(.zero).remaining == .zero)
    }

    @Test func whatRemainsGoesDown() {
        let deadline = ContinuousDeadline.after(.seconds(3600))
        #expect(!deadline.hasPassed)
        #expect(deadline.remaining <= .seconds(3600) && deadline.remaining > .seconds(3500))
        #expect(deadline < ContinuousDeadline.after(.seconds(7200)))
        #expect(!ContinuousDeadline.after(.seconds(86400 * 365 * 100)).hasPassed)
    }

    @Test func aThreadHasItsNameWhileItRuns() throws {
        let named = Monitor<String?>(nil)
        let thread = try ServiceThread(name: "fx-a-very-long-name") {
            let file = try? OwnedDescriptor.open(absolute: "/proc/thread-self/comm", .readOnly)
            let bytes = (try? file?.read(64, at: 0)) ?? []
            named.withLock { $0 = String(decoding: bytes, as: UTF8.self) }
        }
        thread.join()
        #expect(named.withLock { $0 } == "fx-a-very-long-\n")
    }

    @Test func theEventLogKeepsTheLastOnesInOrder() {
        let log = EventLog(capacity: 3, clock: WallClock { Timestamp(seconds: 1) })
        for number in 0..<5 { log.record("n", level: .trace, [.init("n", .integer(Int64(number)))]) }
        #expect(log.recent.map { $0.fields[0].value } == [.integer(2), .integer(3), .integer(4)])
        #expect(log.total == 5)
        #expect(log.recent[0].json.text == #"{"time":"1970-01-01T00:00:01.000000Z","event":"n","n":2}"#)
    }
}
