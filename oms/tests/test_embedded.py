def test_servers_answer(db, settings):
    import redis
    from django.db import connection
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    assert redis.Redis.from_url(settings.REDIS_URL).ping()
