from agent.playout.position import HeardPosition

RATE = 1000


def test_what_was_sent_is_heard_after_the_channels_delay():
    heard = HeardPosition(RATE, delay_s=0.1)
    heard.sent(20, 20, now_s=1.0)
    heard.sent(20, 40, now_s=1.02)
    assert heard.settled_at() == 1.02 + 0.1
    assert heard.at(1.05) == 0
    assert heard.at(1.1) == 20
    assert heard.at(1.2) == 40


def test_a_report_is_believed_and_carried_forward():
    heard = HeardPosition(RATE, delay_s=5.0)
    for i in range(10):
        heard.sent(20, 20 * (i + 1), now_s=1.0)
    heard.reported(40, now_s=1.1)
    assert heard.is_reported
    assert heard.at(1.1) == 40
    assert heard.at(1.14) == 80
    # Never more than was sent, however long the report is ago.
    assert heard.at(99.0) == 200


def test_a_report_of_more_than_was_sent_is_held_to_what_was():
    heard = HeardPosition(RATE, delay_s=0.1)
    heard.sent(20, 20, now_s=1.0)
    heard.reported(10**9, now_s=1.0)
    assert heard.at(1.0) == 20


def test_what_was_cut_is_not_waited_for():
    heard = HeardPosition(RATE, delay_s=0.1)
    heard.sent(20, 20, now_s=1.0)
    heard.cut()
    heard.sent(20, 60, now_s=2.0)
    assert heard.at(2.1) == 60


def test_after_a_clear_the_clients_count_goes_on_from_what_it_played():
    heard = HeardPosition(RATE, delay_s=0.1)
    heard.sent(100, 100, now_s=1.0)
    heard.cut()
    heard.reported(30, now_s=1.05, cleared=True)
    heard.sent(50, 150, now_s=2.0)
    heard.reported(30, now_s=2.0)
    assert heard.at(2.0) == 100
    heard.reported(80, now_s=2.1)
    assert heard.at(2.1) == 150
